import { DomainError } from '#libs/contracts';

/** Says where and what is wrong, and nothing of what was sent. */
export class BodyMalformed extends DomainError {
  readonly code = 'request.malformed';
  constructor(
    override readonly field: string,
    problem: string,
  ) {
    super(`${field}: ${problem}`);
  }
}
