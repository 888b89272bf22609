import { DomainError } from '#libs/contracts';

/** A step acts in another system, which a trial does not let it. */
export class ActsOutside extends DomainError {
  readonly code = 'trial.actsOutside';

  constructor(step: string) {
    super(
      `The step ${step} acts in another system, and a trial does not; the run that it is compared with has no output of it: give one in \`outputs\``,
    );
  }
}

/** The flow was at work on one event for too long. */
export class TrialTooSlow extends DomainError {
  readonly code = 'trial.tooSlow';

  constructor(limitMs: number) {
    super(`The flow took longer than ${limitMs / 1_000} s on the event, which is the most that a trial gives it`);
  }
}
