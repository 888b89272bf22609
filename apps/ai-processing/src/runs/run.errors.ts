import { DomainError } from '#libs/contracts';
import { HoldsCustomer } from '#libs/messaging';
import { mostWaitsOfTenant } from '../waits/run.waker.js';

/** Another process holds the claim of the run. It finishes the run, or its lease expires. */
export class RunLeasedElsewhere extends DomainError {
  readonly code = 'run.leased';
  override readonly ours = true;
  override readonly retryWithinMs = 5_000;

  constructor(
    runId: string,
    override readonly retryAfterMs: number,
  ) {
    super(`The run ${runId} is at work in another process for up to ${retryAfterMs} ms more`);
  }
}

/** Another process claimed the run while this one worked on it. Only the newer holder's results are stored. */
export class RunLeaseLost extends DomainError {
  readonly code = 'run.leased';
  override readonly ours = true;
  override readonly retryWithinMs = 5_000;

  constructor(runId: string) {
    super(`The claim of the run ${runId} was lost while it was at work`);
  }
}

/** The event has runs, and is stored by another consumer, which is behind: until then nothing can be made of a command for it. */
export class EventUnrecorded extends DomainError {
  readonly code = 'event.unrecorded';
  override readonly ours = true;
  override readonly retryWithinMs = 5_000;

  constructor(eventId: string) {
    super(`The event ${eventId} has runs, and is not stored yet`);
  }
}

/**
 * At least one run of the event has to be tried again; the others are finished. It is `ours`, because each run counts its own tries: the consumer only
 * has to deliver the event again.
 */
export class RunsUnfinished extends DomainError {
  readonly code = 'run.unfinished';
  override readonly ours = true;
  /** Each run has a line of its own. */
  override readonly isReported = true;
  override readonly retryAfterMs?: number;
  override readonly retryWithinMs?: number;

  constructor(reasons: readonly DomainError[]) {
    super(reasons.map(({ message }) => message).join('; '), { cause: reasons[0] });
    const waits = reasons.flatMap(({ retryAfterMs }) => retryAfterMs ?? []);
    if (waits.length > 0) this.retryAfterMs = Math.min(...waits);
    const ceilings = reasons.flatMap(({ retryWithinMs }) => retryWithinMs ?? []);
    if (ceilings.length > 0) this.retryWithinMs = Math.min(...ceilings);
  }
}

/** The run of a caller who waits has to be tried again: at the latest when the deadline has passed, so that what follows from its default decision is not late. */
export class RunBeforeDeadline extends DomainError {
  readonly code = 'run.unfinished';
  override readonly ours = true;
  override readonly isReported = true;

  constructor(
    reason: DomainError,
    override readonly retryWithinMs: number,
  ) {
    super(reason.message, { cause: reason });
  }
}

/** A run of the event was given up under the policy `park-key`, and its dead letter is not resolved yet. */
export class RunGivenUp extends HoldsCustomer {
  readonly code = 'run.failed';

  constructor(runId: string, deadLetterId: string) {
    super(deadLetterId, `The run ${runId} was given up; later events of its customer wait until ${deadLetterId} is resolved`);
  }
}

/** The tenant has as many waits as it may have. A replay tries it again. */
export class WaitsFull extends DomainError {
  readonly code = 'flow.waitsFull';

  constructor() {
    super(`The tenant has ${mostWaitsOfTenant} waits that are not over, which is the most`);
  }
}
