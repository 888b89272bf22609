import { DomainError } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';

/** A failure that a test asks for. */
export class WrittenFailure extends DomainError {
  constructor(
    readonly code: FailureCode,
    step: string,
  ) {
    super(`The test lets the step ${step} fail`);
  }
}
