import { DomainError } from '#libs/contracts';

/** None of these says what was expected, or repeats a signature: they go back to a caller nobody has verified. */

export class SignatureMissing extends DomainError {
  readonly code = 'signature.missing';
  constructor(header: string) {
    super(`The header ${header} is missing`);
  }
}

/** The signature, its timestamp or its message id cannot be read, or not in one way only. */
export class SignatureMalformed extends DomainError {
  readonly code = 'signature.malformed';
}

export class SignatureMismatch extends DomainError {
  readonly code = 'signature.mismatch';
  constructor() {
    super('The signature is not one that an active secret of this source makes of the body as it was received');
  }
}

/** Rightly signed, but not now: a replay, or a clock that is wrong. */
export class SignatureExpired extends DomainError {
  readonly code = 'signature.expired';
  constructor(aheadMs: number, toleranceSeconds: number) {
    const seconds = Math.round(Math.abs(aheadMs) / 1_000);
    super(`The request was signed ${seconds} s ${aheadMs > 0 ? 'in the future' : 'ago'}; ${toleranceSeconds} s are tolerated`);
  }
}

/** A secret in a Source document is not written in the way its scheme reads it. */
export class SecretInvalid extends DomainError {
  readonly code = 'document.invalid';
  constructor(
    override readonly field: string,
    expected: string,
  ) {
    super(`${field}: the secret is not ${expected}`);
  }
}
