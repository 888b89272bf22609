import { hash, timingSafeEqual } from 'node:crypto';
import type { SignatureSchemeOf } from '#libs/contracts';
import { HmacKey, hmacKeyBytes } from '../hmac-key.js';
import type { HashName } from '../hmac-key.js';
import type { VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier, VerifierOptions } from '../scheme-verifier.js';
import { mismatchOf } from '../signature.errors.js';
import type { SignatureMismatch } from '../signature.errors.js';
import { SignedEnvelope } from '../signed-envelope.js';
import { describeSigned } from '../describe-signed.js';

type HmacScheme = SignatureSchemeOf<'hmac'>;

const keyNotes: Readonly<Record<HmacScheme['key'], string>> = {
  utf8: '',
  hex: '; the key is hexadecimal',
  base64: '; the key is base64',
  whsec: '; the key is the base64 after `whsec_`',
};

export const hmacVerifier: SchemeVerifier<HmacScheme> = {
  create: (scheme, options) => new HmacVerifier(scheme, options),
  describe: (scheme) => described(scheme) + keyNotes[scheme.key],
};

function described(scheme: HmacScheme): string {
  return scheme.algorithm === 'sha256'
    ? describeSigned({ ...scheme, template: `{secret}${scheme.template}` }, 'SHA-256')
    : describeSigned(scheme, scheme.algorithm.toUpperCase());
}

class HmacVerifier implements Verifier {
  private readonly keys: readonly (HmacKey | PrefixKey)[];
  private readonly envelope: SignedEnvelope;
  private readonly mismatch: () => SignatureMismatch;

  constructor(scheme: HmacScheme, { secrets, aliases, publicUrl, parameters }: VerifierOptions) {
    const keys = secrets.map((secret, at) => hmacKeyBytes(secret, scheme.key, `spec.secrets.${at}`));
    const hashName = scheme.algorithm.slice('hmac-'.length) as HashName;
    this.keys = keys.map((key) => (scheme.algorithm === 'sha256' ? new PrefixKey(key) : new HmacKey(hashName, key)));
    const { digestBytes, blockBytes } = this.keys[0]!;
    this.mismatch = () => mismatchOf(scheme);
    this.envelope = new SignedEnvelope(scheme, { aliases, publicUrl, parameters, signatureBytes: digestBytes, room: blockBytes });
  }

  verify(request: VerifiableRequest, nowMs: number): void {
    const opened = this.envelope.open(request);
    if (!this.keys.some((key) => isSignedBy(key, opened.message, opened.signatures))) throw this.mismatch();
    this.envelope.refuseOutOfTime(opened, request, nowMs);
  }
}

/** The plain SHA-256 of the secret followed by the text. */
class PrefixKey {
  readonly blockBytes = 0;
  readonly digestBytes = 32;

  constructor(private readonly secret: Buffer) {}

  sign(message: Buffer): Buffer {
    return hash('sha256', Buffer.concat([this.secret, message]), 'buffer');
  }
}

function isSignedBy(key: HmacKey | PrefixKey, message: Buffer, signatures: readonly Buffer[]): boolean {
  const expected = key.sign(message);
  return signatures.some((signature) => timingSafeEqual(signature, expected));
}
