import { Inject, Injectable } from '@nestjs/common';
import { DomainError, NotFound, failureReason, newReviewId } from '#libs/contracts';
import type { EventReceived, PlannedDelivery } from '#libs/contracts';
import { newDeliveries } from '#libs/deliveries';
import type { NewDelivery } from '#libs/deliveries';
import { FlowCompiler, FlowFailed, FlowRunner, RunWaits, actionAfter } from '#libs/flows';
import type { CalledFlows, FailureAction, WaitRequest } from '#libs/flows';
import type { RecordContext } from '#libs/messaging';
import { BatchWriter, Configuration } from '#libs/persistence';
import { latencyMs, wallTime, wallTimeMs } from '#libs/time';
import {
  counter,
  currentTraceparent,
  durationBucketsToAnHour,
  histogram,
  inSpan,
  logger,
  recordedTraceId,
  traceIdOf,
  workDone,
} from '#libs/tracing';
import { RenewingLease } from '#libs/work';
import type { AiProcessingOptions } from '../config.js';
import { RunWaitTable, likePattern } from '../waits/run-wait.table.js';
import { RunWaker } from '../waits/run.waker.js';
import { RunLeaseLost, WaitsFull } from './run.errors.js';
import { RunJournal } from './run.journal.js';
import { RunProgressStore, RunProgressWriter } from './run.progress.store.js';
import { RunStore } from './run.store.js';
import type { FinishedRun, Run, RunningRun, WaitingRun } from './run.store.js';
import { StepResultStore, noSteps } from './step-result.store.js';

/** Injection token of {@link RunOptions}. */
export const runOptions = Symbol('run options');
export type RunOptions = Pick<AiProcessingOptions, 'runRetries' | 'runLeaseMs'>;

const runs = counter(
  'millrace_runs_total',
  'Tries of runs, by outcome: ok, waits (the run goes on when a wait is over), abandoned (the process stops), or the code of the failure.',
  {
    tenant: 'the tenant',
    outcome: '`ok`, `waits`, `abandoned`, or a code of failures.md',
  },
);
const decisionLatency = histogram(
  'millrace_accepted_to_decided_seconds',
  'From the acceptance of an event to the decision of a flow on it.',
  {
    tenant: 'the tenant',
    path: '`direct`; `held`: the event waited in the hold store for its customer’s turn; `waited`: a step of the flow waited',
  },
  durationBucketsToAnHour,
);
const duplicates = counter(
  'millrace_model_duplicate_inferences_total',
  'Calls whose results were lost by a crash or with a claim, so that they are made again.',
  { tenant: 'the tenant' },
);
const log = logger('runs');

/** Renewals that are due within this time are one statement. It is short compared with the shortest lease. */
const renewalsLingerMs = 50;

/** Works on one claimed run until it is finished or has to be tried again. */
@Injectable()
export class RunWorker {
  private readonly progress: RunProgressWriter;
  private readonly renewals: BatchWriter<RunningRun, boolean>;

  constructor(
    store: RunStore,
    progress: RunProgressStore,
    private readonly stepResults: StepResultStore,
    private readonly waits: RunWaitTable,
    private readonly waker: RunWaker,
    private readonly compiler: FlowCompiler,
    private readonly configuration: Configuration,
    @Inject(runOptions) private readonly options: RunOptions,
  ) {
    this.progress = new RunProgressWriter(progress, options.runLeaseMs);
    this.renewals = new BatchWriter({
      maxBatch: 1_000,
      lingerMs: renewalsLingerMs,
      write: (held) => store.renew(held, options.runLeaseMs),
    });
  }

  /** @throws the reason why the run has to be tried again */
  async workOn(run: RunningRun, event: EventReceived, context: RecordContext): Promise<FinishedRun | WaitingRun> {
    const finished = await this.observed(run, event, context, await this.journalOf(run, event));
    return finished!; // only a new run has none
  }

  /**
   * Works on the only run of an event before it is stored; its first write stores it. Returns undefined if the event has runs already: then nothing of
   * this one is stored, and it made no call.
   * @throws the reason why the run has to be tried again
   */
  workOnNew(run: RunningRun, event: EventReceived, context: RecordContext): Promise<FinishedRun | WaitingRun | undefined> {
    const beginning = { startedAt: wallTime(), traceId: traceIdOf(context.traceparent) };
    return this.observed(run, event, context, new RunJournal(run, noSteps, this.progress, beginning, undefined, this.arrivalsFor(event)));
  }

  private async observed(
    run: RunningRun,
    event: EventReceived,
    context: RecordContext,
    journal: RunJournal,
  ): Promise<FinishedRun | WaitingRun | undefined> {
    const startedAt = performance.now();
    let outcome: string | undefined;
    let level: 'info' | undefined;
    try {
      const attributes = { 'millrace.run': run.id, 'millrace.flow': run.flow, 'millrace.generation': run.generation };
      const finished = await inSpan(`run ${run.flow}`, { attributes }, () => this.finish(run, event, context, journal));
      if (finished === undefined) return undefined;
      outcome = finished.state === 'failed' ? finished.errorCode : finished.state === 'waiting' ? 'waits' : 'ok';
      if (finished.state === 'waiting') level = 'info';
      if (finished.state === 'completed' && run.generation === 0) {
        const path = journal.hasWaited ? 'waited' : context.wasHeld === true ? 'held' : 'direct';
        const seconds = latencyMs(Date.parse(event.receivedAt), wallTimeMs()) / 1_000;
        decisionLatency.observe({ tenant: run.tenant, path }, seconds, recordedTraceId());
      }
      return finished;
    } catch (error) {
      outcome = context.signal.aborted ? 'abandoned' : failureReason(error).code; // at a stop; the next process goes on
      if (error instanceof DomainError && error.isReported) level = 'info';
      throw error;
    } finally {
      if (outcome !== undefined) report(run, outcome, performance.now() - startedAt, level);
    }
  }

  /** Completes the run or gives it up. Returns undefined if it is new and was refused. @throws the reason why it has to be tried again */
  private async finish(
    run: RunningRun,
    event: EventReceived,
    context: RecordContext,
    journal: RunJournal,
  ): Promise<FinishedRun | WaitingRun | undefined> {
    using lease = new RenewingLease({
      leaseMs: this.options.runLeaseMs,
      renew: () => (journal.isStored ? this.renewals.add(run) : journal.begin()),
      outer: context.signal,
      lost: () => new RunLeaseLost(run.id),
    });
    let ended: Run | undefined;
    let runner: FlowRunner | undefined;
    try {
      runner = await this.runnerOf(run, event, journal, lease);
      const { decision, deliveries } = await runner.run();
      ended = await journal.end({ state: 'completed', decision, deliveries: await this.deliveriesOf(run, deliveries, event, context) });
    } catch (error) {
      if (journal.isRefused) return undefined;
      if (error instanceof RunWaits) ended = await this.suspend(run, event, journal, context);
      else if (error instanceof FlowFailed)
        ended = await this.giveUp(run, { failed: error, runner: runner! }, { journal, lease, event, context });
      else ended = await this.settle(run, { error, runner }, journal, lease);
    }
    if (journal.isRefused) return undefined;
    if (ended === undefined || ended.state === 'running') throw new RunLeaseLost(run.id);
    return ended;
  }

  private async runnerOf(run: RunningRun, event: EventReceived, journal: RunJournal, lease: RenewingLease): Promise<FlowRunner> {
    const { tenant, failures } = run;
    const flow = this.compiler.compile(await this.configuration.flowVersion(tenant, run.flow, run.flowVersion));
    const { signal } = lease;
    const requireClaim = (): void => lease.requireHeld();
    return new FlowRunner(flow, event, journal, {
      signal,
      requireClaim,
      actionAfter: this.actionAfter,
      failures,
      flows: this.flowsOf(tenant),
    });
  }

  private readonly actionAfter = (error: unknown, failures: number): FailureAction => actionAfter(error, failures, this.options.runRetries);

  private flowsOf(tenant: string): CalledFlows {
    return {
      currentVersion: (name) => {
        const flow = this.configuration.flows(tenant).find((one) => one.name === name);
        if (flow === undefined) throw new NotFound('flow', name);
        return flow.version;
      },
      compiled: async (name, version) => this.compiler.compile(await this.configuration.flowVersion(tenant, name, version)),
    };
  }

  private deliveriesOf(
    run: RunningRun,
    planned: readonly PlannedDelivery[],
    event: EventReceived,
    context: RecordContext,
  ): Promise<NewDelivery[]> {
    const deciding = { ...run, runId: run.id, eventReceivedAt: event.receivedAt };
    return newDeliveries(deciding, planned, currentTraceparent() ?? context.traceparent, this.configuration);
  }

  /** Ends the work of a run until one of its waits is over. */
  private async suspend(run: RunningRun, event: EventReceived, journal: RunJournal, context: RecordContext): Promise<Run | undefined> {
    if (this.waker.isFull(run.tenant)) {
      const { code, message } = new WaitsFull();
      return journal.end({ state: 'failed', code, message });
    }
    const traceparent = currentTraceparent() ?? context.traceparent;
    const since = new Date(event.receivedAt);
    const { questions } = journal;
    const expiries = [...questions].map(([step, { expiresAt }]): [string, WaitRequest] => [step, { dueAt: expiresAt }]);
    const asked = [...journal.waits, ...expiries];
    const waits = asked.map(([step, { dueAt, types, looked = 0 }]) => ({
      step,
      dueAt,
      types: types?.map(likePattern),
      since,
      looked,
      traceparent,
    }));
    const reviews = [...questions].map(([step, request]) => ({ step, id: newReviewId(), request }));
    const ended = await journal.end({ state: 'waiting', waits, reviews });
    if (waits.some(({ types }) => types !== undefined)) await this.waker.lookBack(run);
    return ended;
  }

  /** Ends a run whose steps of `onFailure` have run. @throws the reason if its deliveries have to be planned later */
  private async giveUp(
    run: RunningRun,
    { failed, runner }: { readonly failed: FlowFailed; readonly runner: FlowRunner },
    { journal, lease, event, context }: { journal: RunJournal; lease: RenewingLease; event: EventReceived; context: RecordContext },
  ): Promise<Run | undefined> {
    const { failure, failedSteps } = failed;
    journal.noteFailed(failedSteps);
    const end = (also: object): Promise<Run | undefined> => {
      log.warn({ ...failure, runId: run.id, tenant: run.tenant }, 'the run is given up');
      return journal.end({ state: 'failed', ...failure, ...also });
    };
    let deliveries: NewDelivery[];
    try {
      deliveries = await this.deliveriesOf(run, failed.deliveries, event, context);
    } catch (error) {
      if (runner.actionAfter(error) !== 'give-up') return this.settle(run, { error, runner }, journal, lease);
      const { code, message } = failureReason(error);
      return end({ message: `${failure.message}; the deliveries of its onFailure cannot be planned (${code}): ${message}` });
    }
    return end({ deliveries });
  }

  /**
   * @param failed.runner undefined if the flow could not be compiled
   * @throws the error itself if the run is to be tried again
   */
  private async settle(
    run: RunningRun,
    { error, runner }: { readonly error: unknown; readonly runner: FlowRunner | undefined },
    journal: RunJournal,
    lease: RenewingLease,
  ): Promise<Run | undefined> {
    const action = lease.signal.aborted ? 'wait' : (runner?.actionAfter(error) ?? this.actionAfter(error, run.failures));
    if (action === 'give-up') {
      const { code, message } = failureReason(error);
      log.warn({ err: error, runId: run.id, tenant: run.tenant }, 'the run is given up');
      const at = runner?.failedStep(error);
      if (at !== undefined) journal.noteFailed([{ ...at, failure: { code, message } }]);
      return journal.end({ state: 'failed', code, message });
    }
    await journal.end({ state: 'released', failure: action === 'retry' ? 'counts' : 'does-not-count' });
    throw error;
  }

  private arrivalsFor(event: EventReceived): RunJournal['arrivals'] {
    return ({ types = [], dueAt }, after) => this.waits.arrivals(event, { types: types.map(likePattern), dueAt }, after);
  }

  private async journalOf(run: RunningRun, event: EventReceived): Promise<RunJournal> {
    if (run.lostAnswers > 0) duplicates.inc({ tenant: run.tenant }, run.lostAnswers);
    const arrivals = this.arrivalsFor(event);
    if (run.fence === 1) return new RunJournal(run, noSteps, this.progress, undefined, undefined, arrivals);
    const [stored, ends] = await Promise.all([this.stepResults.ofRun(run), this.waits.endsOf(run)]);
    return new RunJournal(run, stored, this.progress, undefined, ends, arrivals);
  }
}

function report(run: RunningRun, outcome: string, durationMs: number, level: 'info' | undefined): void {
  runs.inc({ tenant: run.tenant, outcome });
  const { tenant, customer, eventId, flow, flowVersion, generation, fence } = run;
  const line = { outcome, durationMs, tenant, customer, eventId, runId: run.id, flow, flowVersion, generation, attempt: fence };
  workDone(log, 'run', line, undefined, level);
}
