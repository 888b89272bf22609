import { DomainError } from '#libs/contracts';
import { HoldsCustomer } from '#libs/messaging';

/** Another process holds the run's claim. Nothing is wrong: it may finish the run, or its lease runs out. */
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

/** The claim went to another process while this one was at work; what that one stores counts. */
export class RunLeaseLost extends DomainError {
  readonly code = 'run.leased';
  override readonly ours = true;
  override readonly retryWithinMs = 5_000;

  constructor(runId: string) {
    super(`The claim of the run ${runId} was lost while it was at work`);
  }
}

/**
 * At least one run of the event is to be tried again; the others are finished. `ours`, because how often a run is tried is decided here, run by
 * run: the log only has to bring the event back.
 */
export class RunsUnfinished extends DomainError {
  readonly code = 'run.unfinished';
  override readonly ours = true;
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

/** A run of the event was given up under the policy `park-key`, and its dead letter is not resolved yet. */
export class RunGivenUp extends HoldsCustomer {
  readonly code = 'run.failed';

  constructor(runId: string, deadLetterId: string) {
    super(deadLetterId, `The run ${runId} was given up; later events of its customer wait until ${deadLetterId} is resolved`);
  }
}
