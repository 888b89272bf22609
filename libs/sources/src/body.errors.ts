import { DomainError } from '#libs/contracts';

/** A body cannot be parsed. The message names the field and the problem, and repeats nothing of the body. */
export class BodyMalformed extends DomainError {
  readonly code = 'request.malformed';
  constructor(
    override readonly field: string,
    problem: string,
  ) {
    super(`${field}: ${problem}`);
  }
}
