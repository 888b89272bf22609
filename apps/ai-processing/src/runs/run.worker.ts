import { Inject, Injectable } from '@nestjs/common';
import { DomainError, NotFound, failureReason, newReviewId } from '#libs/contracts';
import type { EventReceived, FailureCode, PlannedDelivery } from '#libs/contracts';
import { defaultDeliveries, jobNotices } from '#libs/decisions';
import type { AwaitedEvent } from '#libs/decisions';
import { newDeliveries } from '#libs/deliveries';
import type { NewDelivery } from '#libs/deliveries';
import { FlowCompiler, FlowFailed, FlowRunner, RunWaits, actionAfter, isWaitedOut } from '#libs/flows';
import type { CalledFlows, FailureAction, FinishedStep, StepFailure, WaitRequest } from '#libs/flows';
import type { Json } from '#libs/json';
import type { RecordContext } from '#libs/messaging';
import { ModelBudgetSpent } from '#libs/models';
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
import { DecisionDeadline, DecisionDue } from './decision-deadline.js';
import { RunDrafts } from './run.drafts.js';
import type { RunDraft } from './run.drafts.js';
import { RunLeaseLost, WaitsFull } from './run.errors.js';
import { RunJournal } from './run.journal.js';
import { RunProgressStore, RunProgressWriter } from './run.progress.store.js';
import type { RunDelay } from './run.progress.store.js';
import { RunStore } from './run.store.js';
import type { FinishedRun, Run, RunningRun, WaitingRun } from './run.store.js';
import { StepResultStore, noSteps } from './step-result.store.js';

/** Injection token of {@link RunOptions}. */
export const runOptions = Symbol('run options');
export type RunOptions = Pick<AiProcessingOptions, 'runRetries' | 'runLeaseMs'>;

/** The steps and the decision of a flow on an event, from a trial. */
export interface DecidedOutcome {
  readonly flow: string;
  readonly version: number;
  /** True: the run has to wait, and goes on by itself from the steps before. */
  readonly waits: boolean;
  readonly decision: Json;
  readonly deliveries: readonly (PlannedDelivery & { readonly planned?: Json })[];
  readonly steps: readonly {
    readonly id: string;
    readonly kind: string;
    readonly state: string;
    readonly output: Json;
    readonly failure?: FinishedStep['failure'];
    readonly inference?: FinishedStep['inference'];
    readonly reviewId?: string;
    readonly beforeWait?: true;
  }[];
}

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
const defaults = counter('millrace_default_decisions_total', 'Default decisions that this process stored, by the reason.', {
  tenant: 'the tenant',
  reason: 'a code of failures.md',
});
const late = counter('millrace_decisions_late_total', 'Decisions of flows that came after their callers needed them, and were dropped.', {
  tenant: 'the tenant',
});
const log = logger('runs');

/** Renewals that are due within this time are one statement. It is short compared with the shortest lease. */
const renewalsLingerMs = 50;

/** The work on one run. */
interface RunWork {
  readonly run: RunningRun;
  readonly event: EventReceived;
  readonly context: RecordContext;
  readonly journal: RunJournal;
  readonly lease: RenewingLease;
  /** Undefined if nobody waits for the decision. */
  readonly deadline: DecisionDeadline | undefined;
  /** Undefined if nobody follows it. */
  readonly draft: RunDraft | undefined;
}

/** Works on one claimed run until it is finished or has to be tried again. */
@Injectable()
export class RunWorker {
  private readonly progress: RunProgressWriter;
  private readonly renewals: BatchWriter<RunningRun, boolean>;

  constructor(
    private readonly store: RunStore,
    progress: RunProgressStore,
    private readonly stepResults: StepResultStore,
    private readonly waits: RunWaitTable,
    private readonly waker: RunWaker,
    private readonly drafts: RunDrafts,
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

  /**
   * Ends a run with what a trial has decided. Where the trial did not wait, the run has the steps before, and goes on as every run does.
   * @throws RunLeaseLost, or the reason why it has to be tried again
   */
  async adopt(run: RunningRun, event: EventReceived, outcome: DecidedOutcome, context: RecordContext): Promise<FinishedRun | WaitingRun> {
    const journal = await this.journalOf(run, event);
    const at = wallTime();
    const steps = outcome.steps.filter((step) => !isBeginningOfWait(step) && (!outcome.waits || step.beforeWait === true));
    for (const step of steps) if (journal.stored(step.id) === undefined) await journal.keep(finishedOf(step, at));
    if (outcome.waits) return (await this.observed(run, event, context, journal))!; // only a new run has none
    const planned = outcome.deliveries.map(({ planned: payload, ...delivery }) =>
      payload === undefined ? delivery : { ...delivery, payload },
    );
    const deliveries = await this.deliveriesOf(run, planned, event, context);
    const ended = await journal.end({ state: 'completed', decision: outcome.decision, deliveries });
    if (ended?.state !== 'completed') throw new RunLeaseLost(run.id);
    report(run, 'ok', 0, undefined);
    return ended;
  }

  /**
   * Ends a run that nobody works on, because a person wants it. The caller of a job is told. Undefined if it has ended, or is held.
   * @throws the reason if that can be planned later
   */
  async cancel(run: Run, message: string, event: EventReceived, context: RecordContext): Promise<FinishedRun | undefined> {
    const told = await this.noticesOf(run, { code: 'run.cancelled' satisfies FailureCode, message }, event, context);
    return this.store.cancel(run, told.message, told.notices);
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
      if (finished.state === 'completed' && finished.defaultReason === null && run.generation === 0) {
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
    using deadline = DecisionDeadline.of(run, event, lease.signal);
    using draft = this.drafts.of(run, event);
    const work = { run, event, context, journal, lease, deadline, draft };
    let ended = await this.end(work);
    if (ended === undefined && deadline !== undefined) ended = await this.endElsewhere(run, deadline, context);
    if (ended === undefined && journal.isRefused) return undefined;
    if (ended === undefined || ended.state === 'running') throw new RunLeaseLost(run.id);
    return ended;
  }

  /** @returns undefined if nothing could be stored, because the run is not this process's any more, or its decision came too late */
  private async end(work: RunWork): Promise<Run | undefined> {
    const { run, event, context, journal, deadline } = work;
    let runner: FlowRunner | undefined;
    try {
      runner = await this.runnerOf(work);
      const running = runner;
      const { decision, deliveries } = await (deadline === undefined ? runner.run() : deadline.before(() => running.run()));
      const planned = [...deliveries, ...jobNotices(run.flow, event, { state: 'completed', decision })];
      const ended = await journal.end({ state: 'completed', decision, deliveries: await this.deliveriesOf(run, planned, event, context) });
      if (ended === undefined && deadline !== undefined) late.inc({ tenant: run.tenant });
      return ended;
    } catch (error) {
      if (journal.isRefused) return undefined;
      if (error instanceof DecisionDue) return this.endByDefault(work, deadline!.event, 'decision.deadline');
      if (error instanceof RunWaits) return this.suspend(work);
      if (error instanceof FlowFailed) return this.giveUp(work, { failed: error, runner: runner! });
      return this.settle(work, { error, runner });
    }
  }

  private endByDefault({ run, journal }: RunWork, event: AwaitedEvent, reason: string, deliveries: readonly NewDelivery[] = []) {
    defaults.inc({ tenant: run.tenant, reason });
    const { default: decision } = event.request.deadline;
    const unplanned = defaultDeliveries(event, reason);
    return journal.end({ state: 'completed', decision, defaultReason: reason, deliveries, unplanned });
  }

  /**
   * Returns the end of a run that a caller waits for and whose end this process could not store: it is stored already, or becomes the default decision,
   * because the deadline has passed by the clock of Postgres. Undefined if another process is at work on it.
   */
  private async endElsewhere(run: RunningRun, { event, decideBy }: DecisionDeadline, context: RecordContext): Promise<Run | undefined> {
    const [stored] = await this.store.stored([run]);
    const isOurs = stored === undefined || (stored.state === 'running' && stored.id === run.id && stored.fence === run.fence);
    if (!isOurs) return stored.state === 'completed' || stored.state === 'failed' ? stored : undefined;
    defaults.inc({ tenant: run.tenant, reason: 'decision.deadline' });
    return this.store.settle(event, 'decision.deadline', context.traceparent, decideBy);
  }

  private async runnerOf({ run, event, journal, lease, deadline, draft }: RunWork): Promise<FlowRunner> {
    const { tenant, failures } = run;
    const flow = this.compiler.compile(await this.configuration.flowVersion(tenant, run.flow, run.flowVersion));
    const { signal } = deadline ?? lease;
    const requireClaim = (): void => {
      lease.requireHeld();
      signal.throwIfAborted();
    };
    return new FlowRunner(flow, event, journal, {
      signal,
      requireClaim,
      actionAfter: this.actionAfter,
      failures,
      flows: this.flowsOf(tenant),
      observer: draft,
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
    run: Run,
    planned: readonly PlannedDelivery[],
    event: EventReceived,
    context: RecordContext,
  ): Promise<NewDelivery[]> {
    const deciding = { ...run, runId: run.id, eventReceivedAt: event.receivedAt };
    return newDeliveries(deciding, planned, currentTraceparent() ?? context.traceparent, this.configuration);
  }

  /** Ends the work of a run until one of its waits is over, or its caller needs the decision. */
  private async suspend(work: RunWork): Promise<Run | undefined> {
    const { run, event, journal, context, deadline } = work;
    if (this.waker.isFull(run.tenant)) return this.endFailed(work, failureReason(new WaitsFull()));
    const traceparent = currentTraceparent() ?? context.traceparent;
    const since = new Date(event.receivedAt);
    const { questions } = journal;
    const expiries = [...questions].map(([step, { expiresAt }]): [string, WaitRequest] => [step, { dueAt: expiresAt }]);
    const asked = [...journal.waits, ...expiries];
    const decideByMs = deadline?.decideBy.getTime() ?? Infinity;
    const waits = asked.map(([step, { dueAt, types, looked = 0 }]) => ({
      step,
      dueAt: dueAt.getTime() <= decideByMs ? dueAt : new Date(decideByMs),
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
    work: RunWork,
    { failed, runner }: { readonly failed: FlowFailed; readonly runner: FlowRunner },
  ): Promise<Run | undefined> {
    const { run, event, context, journal } = work;
    const { failure, failedSteps } = failed;
    journal.noteFailed(failedSteps);
    log.warn({ ...failure, runId: run.id, tenant: run.tenant }, 'the run is given up');
    let deliveries: NewDelivery[];
    try {
      deliveries = await this.deliveriesOf(run, failed.deliveries, event, context);
    } catch (error) {
      if (runner.actionAfter(error) !== 'give-up') return this.settle(work, { error, runner });
      const { code, message } = failureReason(error);
      return this.endFailed(work, {
        code: failure.code,
        message: `${failure.message}; the deliveries of its onFailure cannot be planned (${code}): ${message}`,
      });
    }
    return this.endFailed(work, failure, deliveries);
  }

  /** Ends a run that is given up. If a caller waits for it, its end is the default decision. */
  private async endFailed(work: RunWork, failure: StepFailure, deliveries: readonly NewDelivery[] = []): Promise<Run | undefined> {
    const { run, event, context, journal, deadline } = work;
    const { code } = failure;
    if (deadline !== undefined) return this.endByDefault(work, deadline.event, code, deliveries);
    const told = await this.noticesOf(run, failure, event, context);
    return journal.end({ state: 'failed', code, message: told.message, deliveries: [...deliveries, ...told.notices] });
  }

  /**
   * Plans that the caller of a job is told of its failure. Where that cannot be planned at all, the message of the end says so.
   * @throws the reason if it can be planned later
   */
  private async noticesOf(
    run: Run,
    { code, message }: StepFailure,
    event: EventReceived,
    context: RecordContext,
  ): Promise<{ readonly message: string; readonly notices: readonly NewDelivery[] }> {
    const planned = jobNotices(run.flow, event, { state: 'failed', errorCode: code, errorMessage: message });
    try {
      return { message, notices: await this.deliveriesOf(run, planned, event, context) };
    } catch (error) {
      if (this.actionAfter(error, run.failures) !== 'give-up') throw error;
      const reason = failureReason(error);
      return { message: `${message}; ${planned[0]!.destination} cannot be told (${reason.code}): ${reason.message}`, notices: [] };
    }
  }

  /**
   * @param failed.runner undefined if the flow could not be compiled
   * @throws the error itself if the run is to be tried again
   */
  private async settle(
    work: RunWork,
    { error, runner }: { readonly error: unknown; readonly runner: FlowRunner | undefined },
  ): Promise<Run | undefined> {
    const { run, journal, lease } = work;
    const action = lease.signal.aborted ? 'wait' : (runner?.actionAfter(error) ?? this.actionAfter(error, run.failures));
    if (action === 'give-up') {
      log.warn({ err: error, runId: run.id, tenant: run.tenant }, 'the run is given up');
      const failure = failureReason(error);
      const at = runner?.failedStep(error);
      if (at !== undefined) journal.noteFailed([{ ...at, failure }]);
      return this.endFailed(work, failure);
    }
    const delay = action === 'wait' && isWaitedOut(error) ? delayOf(error, runner?.failedStep(error)?.step) : undefined;
    await journal.end({ state: 'released', failure: action === 'retry' ? 'counts' : 'does-not-count', delay });
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

function delayOf(error: DomainError, step: string | undefined): RunDelay {
  const { budget, endsAt } = error instanceof ModelBudgetSpent ? error : {};
  return { step, code: error.code, message: error.publicMessage, budget, endsAt };
}

/** The time of a wait or a review is not kept: it begins with the promotion, and of a review that was decided before nobody is asked. */
function isBeginningOfWait({ kind, state }: DecidedOutcome['steps'][number]): boolean {
  return state === 'began' && (kind === 'wait' || kind === 'review');
}

/** The step with the time of its promotion: in the trial it was done before the run began. */
function finishedOf({ id, kind, state, output, failure, inference, reviewId }: DecidedOutcome['steps'][number], at: Date): FinishedStep {
  return {
    step: id,
    kind: kind as FinishedStep['kind'],
    state: state as FinishedStep['state'],
    output,
    ...(failure && { failure }),
    ...(inference && { inference }),
    ...(reviewId !== undefined && { reviewId }),
    startedAt: at,
    finishedAt: at,
  };
}

function report(run: RunningRun, outcome: string, durationMs: number, level: 'info' | undefined): void {
  runs.inc({ tenant: run.tenant, outcome });
  const { tenant, customer, eventId, flow, flowVersion, generation, fence } = run;
  const line = { outcome, durationMs, tenant, customer, eventId, runId: run.id, flow, flowVersion, generation, attempt: fence };
  workDone(log, 'run', line, undefined, level);
}
