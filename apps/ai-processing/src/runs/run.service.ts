import { Inject, Injectable } from '@nestjs/common';
import { DomainError, isForRequestsAlone, newRunId } from '#libs/contracts';
import type { CancelRun, DecisionRequest, EventReceived, FlowDocument, ReplayEvent } from '#libs/contracts';
import { isAwaited } from '#libs/decisions';
import type { AwaitedEvent } from '#libs/decisions';
import type { RecordContext } from '#libs/messaging';
import { BatchWriter } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { counter, logger, traceIdOf } from '#libs/tracing';
import { FlowMatcher } from './flow.matcher.js';
import { FailedRuns } from './failed.runs.js';
import { RunAnnouncer } from './run.announcer.js';
import { decideByOf, msLeft } from './decision-deadline.js';
import { EventUnrecorded, RunBeforeDeadline, RunLeasedElsewhere, RunsUnfinished } from './run.errors.js';
import { RunStore, isSameRun } from './run.store.js';
import type { FinishedRun, PlannedRun, Run, RunStart, RunningRun, StartedRuns, WaitingRun } from './run.store.js';
import { RunWorker, runOptions } from './run.worker.js';
import type { DecidedOutcome, RunOptions } from './run.worker.js';

const log = logger('runs');
const retries = counter(
  'millrace_dead_letter_retries_total',
  'Commands that retry the dead letter of a run, by what came of them: they `began` a new generation, or were `passed_over`, because the dead letter is resolved or retried already.',
  { outcome: ['began', 'passed_over'] },
);

/** The runs of an event, or of a command about it, after this process claimed those it could. */
interface Started extends StartedRuns {
  /** The command that made them; null for the event's own. */
  readonly commandId: string | null;
}

/** The part of a command about the flows that are to run again. */
type OrderedReplay = Pick<ReplayEvent, 'commandId' | 'flow' | 'deadLetterId' | 'onlyIfTaken'>;

/** Who ended a run before its decision, and why. */
type Cancellation = Pick<CancelRun, 'actor' | 'reason'>;

/** A run whose work has ended: for good, or until a wait is over. */
type EndedRun = FinishedRun | WaitingRun;

function isFinished(run: EndedRun): run is FinishedRun {
  return run.state !== 'waiting';
}

/** Runs flows on events. Each run takes effect once, however often it is requested. */
@Injectable()
export class RunService {
  private readonly starts: BatchWriter<RunStart, StartedRuns>;

  constructor(
    private readonly matcher: FlowMatcher,
    private readonly store: RunStore,
    private readonly worker: RunWorker,
    private readonly announcer: RunAnnouncer,
    private readonly failedRuns: FailedRuns,
    @Inject(runOptions) private readonly options: RunOptions,
  ) {
    this.starts = new BatchWriter({ maxBatch: 200, lingerMs: 2, write: (starts) => store.start(starts, options.runLeaseMs) });
  }

  /**
   * Runs the flows that match the event. The first try that finds any fixes the set: a repeat of the event after a flow was added does not run
   * that flow.
   * @throws RunsUnfinished, RunGivenUp
   */
  async runFlows(event: EventReceived, context: RecordContext): Promise<void> {
    if (isAwaited(event)) return this.decideInTime(event, context);
    const { request } = event;
    const flows = request === undefined ? await this.matcher.matching(event) : [requested(request)];
    await this.runPlannedFlows(
      flows.map((flow) => plan(event, flow, 0, null)),
      event,
      context,
    );
  }

  /** Runs the flow that a caller waits for, if there is time left; else its default decision is the end of it. */
  private async decideInTime(event: AwaitedEvent, context: RecordContext): Promise<void> {
    const decideBy = decideByOf(event);
    if (msLeft(decideBy) === 0) {
      const settled = await this.store.settle(event, 'decision.deadline', context.traceparent);
      if (settled.state === 'completed' || settled.state === 'failed') {
        await this.announced(settled, event);
        return;
      } // else it is of an earlier request, which gives it more time
    }
    try {
      await this.runPlannedFlows([{ ...plan(event, requested(event.request), 0, null), decideBy }], event, context);
    } catch (error) {
      throw beforeDeadline(error, event);
    }
  }

  private async runPlannedFlows(planned: readonly PlannedRun[], event: EventReceived, context: RecordContext): Promise<void> {
    const [only, ...others] = planned;
    const isFirstTry = only !== undefined && others.length === 0 && !(context.attempt > 1);
    const run = isFirstTry ? await this.runNew(only, event, context) : undefined;
    const runs = run === undefined ? await this.runPlanned(planned, event, context) : [run];
    await this.failedRuns.holdCustomer(runs.filter(isFinished));
  }

  /** Runs the only flow of an event, which is stored with its first write instead of before it. Undefined if the event has runs already. */
  private async runNew(planned: PlannedRun, event: EventReceived, context: RecordContext): Promise<EndedRun | undefined> {
    const claimed = { state: 'running', fence: 1, failures: 0, lostAnswers: 0, leaseLeftMs: this.options.runLeaseMs } as const;
    try {
      const run = await this.worker.workOnNew({ ...planned, ...claimed }, event, context);
      return run === undefined ? undefined : await this.announced(run, event);
    } catch (error) {
      throw reasonOf([error]);
    }
  }

  private async runPlanned(planned: readonly PlannedRun[], event: EventReceived, context: RecordContext): Promise<EndedRun[]> {
    const { tenant, eventId } = event;
    const { claimed, others } = await this.starts.add({ tenant, eventId, planned, traceId: traceIdOf(context.traceparent) });
    const isFirst = others.length === 0 && claimed.every(({ fence }) => fence === 1);
    const unseen = isFirst ? await this.othersOf(planned, claimed) : []; // made by another process at the same moment
    return this.carryOut({ claimed, others: [...others, ...unseen], commandId: null }, event, context);
  }

  /**
   * Runs flows on the event again, each as its next generation. The same command finds the runs it made before. A retry of a dead letter that is resolved,
   * or is retried already, runs nothing.
   * @param ordered.flow the name of one flow, whether or not it matches the event, unless `onlyIfTaken` is set; null: all that match it now
   * @throws NotFound, RunsUnfinished
   */
  async rerunFlows(event: EventReceived, ordered: OrderedReplay, context: RecordContext): Promise<void> {
    const { commandId, deadLetterId } = ordered;
    const earlier = await this.store.ofCommand(event.tenant, commandId, event.eventId);
    const planned = earlier.length > 0 ? earlier : await this.nextGeneration(event, ordered);
    if (planned.length === 0) return;
    const isNewRetry = deadLetterId !== undefined && earlier.length === 0;
    const claimed = isNewRetry
      ? await this.claimRetry(planned, deadLetterId, context)
      : await this.store.claim(planned, traceIdOf(context.traceparent), this.options.runLeaseMs);
    const others = await this.othersOf(planned, claimed);
    if (isNewRetry && claimed.length > 0) retries.inc({ outcome: 'began' });
    if (claimed.length + others.length === 0) {
      const { tenant, eventId } = event;
      retries.inc({ outcome: 'passed_over' });
      log.info(
        { tenant, eventId, flow: ordered.flow, commandId, deadLetterId },
        'a retry was passed over: its dead letter is resolved, or is retried already',
      );
    }
    await this.carryOut({ claimed, others, commandId }, event, context);
  }

  /**
   * Called for an event that is not stored. An event is deleted together with its runs, so one that has runs will be stored by the recorder.
   * @throws EventUnrecorded
   */
  async requireNoRuns(tenant: string, eventId: string): Promise<void> {
    const last = await this.store.lastGenerations(tenant, eventId);
    if (last.size > 0) throw new EventUnrecorded(eventId);
  }

  private async claimRetry(planned: readonly PlannedRun[], deadLetterId: string, context: RecordContext): Promise<RunningRun[]> {
    const traceId = traceIdOf(context.traceparent);
    const claimed = await Promise.all(planned.map((run) => this.store.claimRetry(run, deadLetterId, traceId, this.options.runLeaseMs)));
    return claimed.filter((run) => run !== undefined);
  }

  /**
   * Makes the next generation of an event out of what a trial has decided on it. No step of it is done again, and no model is asked again; one that has to wait
   * goes on by itself. The same command finds the run that it made before.
   * @throws RunsUnfinished
   */
  async promote(event: EventReceived, outcome: DecidedOutcome, commandId: string, context: RecordContext): Promise<EndedRun> {
    const { tenant, eventId } = event;
    const [earlier] = await this.store.ofCommand(tenant, commandId, eventId);
    const last = await this.store.lastGenerations(tenant, eventId);
    const flow = { name: outcome.flow, version: outcome.version };
    const planned = earlier ?? plan(event, flow, nextOf(last, flow), commandId);
    const [claimed] = await this.store.claim([planned], traceIdOf(context.traceparent), this.options.runLeaseMs);
    try {
      if (claimed !== undefined) return await this.announced(await this.worker.adopt(claimed, event, outcome, context), event);
      const [other] = await this.store.stored([planned]);
      return await this.standBy(other!, commandId, event);
    } catch (error) {
      throw reasonOf([error]);
    }
  }

  /**
   * Goes on with a run of which a wait is over. A run that waits for something else, or has ended, stays as it is. Later events of its customer have been
   * handled meanwhile, so none of them is held if the run is given up.
   * @throws RunsUnfinished
   */
  async continueRun(runId: string, event: EventReceived, context: RecordContext): Promise<void> {
    const run = await this.store.resume(event.tenant, runId, this.options.runLeaseMs);
    const stored = run === undefined ? await this.store.byId(event.tenant, runId) : undefined;
    try {
      if (run !== undefined) await this.announced(await this.worker.workOn(run, event, context), event);
      else if (stored !== undefined) await this.standByAfterWait(stored, event);
    } catch (error) {
      throw isAwaited(event) ? beforeDeadline(reasonOf([error]), event) : reasonOf([error]);
    }
  }

  /** A run that took the default decision while it waited is announced here, because the record of its event was handled before. */
  private async standByAfterWait(run: Run, event: EventReceived): Promise<void> {
    const ended = await this.standBy(run, run.commandId, event);
    if (isFinished(ended)) await this.store.dropWaits(run.tenant, run.id);
  }

  /**
   * Ends a run that has not ended, whether it waits or is to be tried again. Its event counts as handled, and no decision of it is delivered. If a caller
   * waits for its decision, the default decision counts, as at the deadline; the caller of a job is told.
   * @throws RunLeasedElsewhere while a process works on it
   */
  async cancelRun(runId: string, by: Cancellation, event: EventReceived, context: RecordContext): Promise<void> {
    const message = `Cancelled by ${by.actor}${by.reason === null ? '' : `: ${by.reason}`}`;
    const { tenant } = event;
    const stored = await this.store.byId(tenant, runId);
    if (stored === undefined) return;
    const { decideBy, commandId, state } = stored;
    if (isAwaited(event) && decideBy !== null && (state === 'running' || state === 'waiting')) {
      if (stored.state === 'running' && stored.leaseLeftMs > 0) throw new RunLeasedElsewhere(runId, stored.leaseLeftMs);
      await this.standByAfterWait(await this.store.settle(event, 'run.cancelled', context.traceparent, decideBy), event);
    } else await this.standBy((await this.worker.cancel(stored, message, event, context)) ?? stored, commandId, event);
  }

  private async nextGeneration(event: EventReceived, { commandId, flow: only, onlyIfTaken }: OrderedReplay): Promise<PlannedRun[]> {
    const { tenant, eventId, request } = event;
    const named = only ?? request?.flow;
    const passOver = (why: string): [] => {
      log.warn({ tenant, eventId, flow: named, commandId }, `a replay was passed over: ${why}`);
      return [];
    };
    if (request !== undefined && named !== request.flow) return passOver(`only ${request.flow} runs on it`);
    const flows = await this.matcher.forReplay(event, named);
    if (request === undefined && flows.some(({ document }) => isForRequestsAlone(document.spec)))
      return passOver(`${named} runs on requests alone`);
    const last = await this.store.lastGenerations(tenant, eventId);
    if (onlyIfTaken === true && !flows.some(({ name }) => last.has(name)) && !(await this.matcher.takes(flows, event)))
      return passOver(`${named} does not take it`);
    return flows.map((flow) => plan(event, flow, nextOf(last, flow), commandId));
  }

  /** Works on all runs at the same time. A run that fails does not stop the others. */
  private async carryOut({ claimed, others, commandId }: Started, event: EventReceived, context: RecordContext): Promise<EndedRun[]> {
    const ended = await Promise.allSettled([
      ...claimed.map(async (run) => this.announced(await this.worker.workOn(run, event, context), event)),
      ...others.map((run) => this.standBy(run, commandId, event)),
    ]);
    const failures = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    if (failures.length > 0) throw reasonOf(failures);
    return ended.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
  }

  /** A run that waits has nothing to announce. */
  private async announced(run: EndedRun, event: EventReceived): Promise<EndedRun> {
    if (isFinished(run)) await this.announcer.announce(run, event);
    return run;
  }

  /** Returns the planned runs that were not claimed: they are finished, or another process works on them. */
  private async othersOf(planned: readonly PlannedRun[], claimed: readonly Run[]): Promise<Run[]> {
    const others = planned.filter((one) => !claimed.some((run) => isSameRun(run, one)));
    return others.length === 0 ? [] : this.store.stored(others);
  }

  /** Announces a finished run again, because the process that finished it may have crashed before its announcement. */
  private async standBy(run: Run, commandId: string | null, event: EventReceived): Promise<EndedRun> {
    if (run.state === 'running') throw new RunLeasedElsewhere(run.id, run.leaseLeftMs);
    if (commandId !== null && run.commandId !== commandId) throw new RunLeasedElsewhere(run.id, 0); // the next try takes the generation after it
    return this.announced(run, event);
  }
}

/** Why the record has to come again, or cannot be handled: an announcement that the log refuses for good, or a defect. Then the consumer parks it. */
function reasonOf(failures: readonly unknown[]): unknown {
  const passing = failures.filter((failure): failure is DomainError => failure instanceof DomainError && failure.outcome === 'retry');
  return passing.length > 0 ? new RunsUnfinished(passing) : failures[0];
}

/** Why the record of a caller who waits has to come again, and when at the latest. */
function beforeDeadline(error: unknown, event: AwaitedEvent): unknown {
  const leftMs = msLeft(decideByOf(event));
  return error instanceof DomainError && error.ours && leftMs > 0 ? new RunBeforeDeadline(error, leftMs) : error;
}

/** The version of the flow that the door knew, so that its default decision and its schema are those of the run. */
function requested({ flow, flowVersion }: DecisionRequest): PlannedFlow {
  return { name: flow, version: flowVersion };
}

/** Generation 0 is that of the event's own runs, also where they have not begun. */
function nextOf(last: ReadonlyMap<string, number>, { name }: PlannedFlow): number {
  return (last.get(name) ?? 0) + 1;
}

type PlannedFlow = Pick<Stored<FlowDocument>, 'name' | 'version'>;

function plan(event: EventReceived, flow: PlannedFlow, generation: number, commandId: string | null): PlannedRun {
  const { tenant, eventId, customer } = event;
  return {
    tenant,
    id: newRunId(),
    eventId,
    customer,
    flow: flow.name,
    flowVersion: flow.version,
    generation,
    commandId,
  };
}
