import { DomainError } from '#libs/contracts';

/** A validate step refused its input. Trying again cannot help: the input is stored. */
export class ValidationFailed extends DomainError {
  readonly code = 'flow.validationFailed';

  constructor(
    readonly step: string,
    readonly problems: readonly string[],
  ) {
    super(`The step ${step} refused its input: ${problems.join('; ')}`);
  }
}

/** A wait step yields no time, or one that is too far ahead. */
export class WaitUnusable extends DomainError {
  readonly code = 'flow.waitUnusable';

  constructor(step: string, problem: string) {
    super(`The wait ${step} ${problem}`);
  }
}

/** A step waits, and the run ends its work until it is woken. It is no failure: whatever meets it lets it pass. */
export class RunWaits extends Error {
  constructor(step: string) {
    super(`The run waits at ${step}`);
  }
}
