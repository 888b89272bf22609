import type { SignatureSchemeOf } from '#libs/contracts';
import { headerValue } from '../request.js';
import type { VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier, VerifierOptions } from '../scheme-verifier.js';
import { SecretTexts } from '../secret-text.js';
import { SecretInvalid, SignatureMalformed, SignatureMismatch, SignatureMissing } from '../signature.errors.js';
import { fromBase64 } from '../signed-envelope.js';

export const basicVerifier: SchemeVerifier<SignatureSchemeOf<'basic'>> = {
  create: (_, options) => new BasicVerifier(options),
  describe: () => '`authorization`: `Basic …` (RFC 7617); the secret is `user:password`',
};

class BasicVerifier implements Verifier {
  private readonly credentials: SecretTexts;

  constructor({ secrets }: VerifierOptions) {
    for (const [at, secret] of secrets.entries()) {
      if (!secret.includes(':')) throw new SecretInvalid(`spec.secrets.${at}`, 'user:password');
    }
    this.credentials = new SecretTexts(secrets);
  }

  verify(request: VerifiableRequest): void {
    const value = headerValue(request, ['authorization']);
    if (value === undefined) throw new SignatureMissing('header authorization');
    const encoded = /^basic (.+)$/i.exec(value)?.[1]; // the name of the method is case-insensitive
    const given = encoded === undefined ? null : fromBase64(encoded);
    if (given === null) throw new SignatureMalformed('The header authorization is not Basic and base64');
    if (!this.credentials.include(given)) throw new SignatureMismatch('The credentials are not an active secret of this source');
  }
}
