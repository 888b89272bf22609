import { DomainError } from '#libs/contracts';

/** These errors are answered to callers that were not verified, so none names an expected value or repeats a signature. */

export class SignatureMissing extends DomainError {
  readonly code = 'signature.missing';
  /** @param place such as `header x-signature` */
  constructor(place: string) {
    super(`The ${place} is missing`);
  }
}

/** The signature, its timestamp or its message id cannot be read, or can be read in two ways. */
export class SignatureMalformed extends DomainError {
  readonly code = 'signature.malformed';
}

export class SignatureMismatch extends DomainError {
  readonly code = 'signature.mismatch';
  constructor(message = 'The signature is not one that an active secret of this source makes of the body as it was received') {
    super(message);
  }
}

/** The refusal of a signature over a text of this template. It names the address if that is signed, too: a wrong one is the most common mistake. */
export function mismatchOf({ template }: { readonly template: string }): SignatureMismatch {
  if (!/\{(?:url|decodedUrl)\}/.test(template)) return new SignatureMismatch();
  return new SignatureMismatch(
    'The signature is not one that an active secret of this source makes of the request. It covers the address, too: spec.publicUrl must be the one that the provider calls',
  );
}

/** The signature matches, but its timestamp is out of tolerance: a replay, or a wrong clock. */
export class SignatureExpired extends DomainError {
  readonly code = 'signature.expired';
  constructor(aheadMs: number, toleranceSeconds: number) {
    const seconds = Math.round(Math.abs(aheadMs) / 1_000);
    super(`The request was signed ${seconds} s ${aheadMs > 0 ? 'in the future' : 'ago'}; ${toleranceSeconds} s are tolerated`);
  }
}

/** A secret in a Source document does not have the form that its scheme requires. */
export class SecretInvalid extends DomainError {
  readonly code = 'document.invalid';
  constructor(
    override readonly field: string,
    expected: string,
  ) {
    super(`${field}: the secret is not ${expected}`);
  }
}

/** The scheme of a source signs the URL, which the document does not name. */
export class PublicUrlMissing extends DomainError {
  readonly code = 'document.invalid';
  override readonly field = 'spec.publicUrl';
  constructor() {
    super('spec.publicUrl: the scheme signs the URL, so set the address that the provider calls');
  }
}

/** The scheme of a source, or its preset, needs a value that the document does not have. */
export class ParameterMissing extends DomainError {
  readonly code = 'document.invalid';
  override readonly field: string;
  constructor(name: string) {
    super(`spec.parameters.${name}: is missing; requests of this provider are verified with it`);
    this.field = `spec.parameters.${name}`;
  }
}

/** A verified handshake lacks the value that would have to be sent back. */
export class HandshakeMalformed extends DomainError {
  readonly code = 'request.malformed';
  override readonly field = 'body';
  constructor(handshake: string, gaps: readonly string[]) {
    super(`body: is a ${handshake} without what to reply: ${gaps.join('; ')}`);
  }
}

/** A request without a signature is not the handshake of the source's provider, or does not carry its secret. */
export class HandshakeRefused extends DomainError {
  readonly code = 'signature.noHandshake';
  /** @param mistakes what is missing or wrong; empty: there is no handshake by this method */
  constructor(method: string, mistakes: readonly string[]) {
    super(
      mistakes.length === 0
        ? `This source has no handshake by ${method}`
        : `The request is not a handshake that this source answers: ${mistakes.join('; ')}`,
    );
  }
}
