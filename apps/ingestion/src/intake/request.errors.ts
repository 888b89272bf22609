import { DomainError } from '#libs/contracts';

export class MethodNotAllowed extends DomainError {
  readonly code = 'request.methodNotAllowed';
  constructor(method: string, allowed: string) {
    super(`This address takes ${allowed}, not ${method}`);
  }
}

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
