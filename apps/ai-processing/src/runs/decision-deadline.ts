import { DomainError } from '#libs/contracts';
import { isAwaited } from '#libs/decisions';
import type { AwaitedEvent } from '#libs/decisions';
import type { EventReceived } from '#libs/contracts';
import { latencyMs, startTimer, wallTimeMs } from '#libs/time';
import type { PlannedRun } from './run.store.js';

/** The deadline of a run has passed: its caller gets the default decision. */
export class DecisionDue extends DomainError {
  readonly code = 'decision.deadline';

  constructor(decideBy: Date) {
    super(`There was no decision by ${decideBy.toISOString()}`);
  }
}

/** The time until which a run can decide, because a caller waits, ms; 0 if it has passed. */
export function msLeft(decideBy: Date): number {
  return latencyMs(wallTimeMs(), decideBy.getTime());
}

/** When the caller of an event needs the decision. A run that an earlier request made keeps the deadline of that one, or none. */
export function decideByOf({ request }: AwaitedEvent): Date {
  return new Date(request.deadline.decideBy);
}

/** Ends the work on a run when its caller needs the decision. */
export class DecisionDeadline implements Disposable {
  /** Aborts at the deadline, or with the outer signal. */
  readonly signal: AbortSignal;
  private readonly passed = new AbortController();
  private readonly due = Promise.withResolvers<never>();
  private readonly timer: NodeJS.Timeout;

  private constructor(
    readonly event: AwaitedEvent,
    readonly decideBy: Date,
    outer: AbortSignal,
  ) {
    this.signal = AbortSignal.any([this.passed.signal, outer]);
    this.due.promise.catch(() => undefined); // nobody may be waiting for it
    this.timer = startTimer(() => this.end(), msLeft(decideBy));
  }

  /** Undefined if nobody waits for the run: those of jobs and replays have no deadline, also if a caller who waits repeats the request. */
  static of({ decideBy }: PlannedRun, event: EventReceived, outer: AbortSignal): DecisionDeadline | undefined {
    return decideBy != null && isAwaited(event) ? new DecisionDeadline(event, decideBy, outer) : undefined;
  }

  /** @throws DecisionDue at the deadline, whether or not the work has ended by then; the work is not begun after it */
  before<T>(work: () => Promise<T>): Promise<T> {
    if (msLeft(this.decideBy) === 0) this.end();
    return this.passed.signal.aborted ? this.due.promise : Promise.race([work(), this.due.promise]);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.timer);
  }

  private end(): void {
    const reason = new DecisionDue(this.decideBy);
    this.due.reject(reason); // before the work ends by the signal, for a reason of its own
    this.passed.abort(reason);
  }
}
