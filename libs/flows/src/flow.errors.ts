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
