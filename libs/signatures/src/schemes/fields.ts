import { hash, timingSafeEqual } from 'node:crypto';
import type { SignatureSchemeOf } from '#libs/contracts';
import type { Json } from '#libs/json';
import { LruMap } from '#libs/lru';
import { jsonOf, textAt, valueAt } from '../body-field.js';
import { HmacKey, hmacKeyBytes } from '../hmac-key.js';
import type { HashName } from '../hmac-key.js';
import type { VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier, VerifierOptions } from '../scheme-verifier.js';
import { SignatureMalformed, SignatureMismatch, SignatureMissing } from '../signature.errors.js';
import { fromBase64, fromHex } from '../signed-envelope.js';
import { instantMsOf, refuseOutOfTolerance } from '../timestamp.js';

type FieldsScheme = SignatureSchemeOf<'fields'>;

/** Values used once that a source remembers at most. A provider would have to send more within the tolerance to push one out. */
const rememberedValues = 10_000;

export const fieldsVerifier: SchemeVerifier<FieldsScheme> = {
  create: (scheme, options) => new FieldsVerifier(scheme, options),
  describe: ({ each, signature, algorithm, signed, separator, encoding, key }) =>
    `\`${[each, signature].filter((part) => part !== undefined).join('.')}\` in the body: ${algorithm.toUpperCase()} of ${signed.map((path) => `\`${path}\``).join(', ')}` +
    `${separator === '' ? '' : ` with \`${separator}\` between`}, ${encoding}${key === 'utf8' ? '' : `; the key is ${key === 'hex' ? 'hexadecimal' : 'base64'}`}`,
};

/** Verifies signatures that stand in a JSON body, over some of its fields. The body has to be parsed for it, within the limits of all bodies. */
class FieldsVerifier implements Verifier {
  private readonly keys: readonly HmacKey[];
  /** The hash of the body with which a value used once came, by that value. */
  private readonly used = new LruMap<string, { readonly body: string; readonly untilMs: number }>(rememberedValues);

  constructor(
    private readonly scheme: FieldsScheme,
    { secrets }: VerifierOptions,
  ) {
    const hashName = scheme.algorithm.slice('hmac-'.length) as HashName;
    this.keys = secrets.map((secret, at) => new HmacKey(hashName, hmacKeyBytes(secret, scheme.key, `spec.secrets.${at}`)));
  }

  verify(request: VerifiableRequest, nowMs: number): void {
    const body = jsonOf(request.rawBody);
    const carriers = this.scheme.each === undefined ? [body] : valueAt(body, this.scheme.each);
    if (!Array.isArray(carriers) || carriers.length === 0) throw new SignatureMissing(`field ${this.scheme.each} with the signed elements`);
    for (const carrier of carriers) this.verifyCarrier(carrier);
    for (const carrier of carriers) this.refuseReplay(carrier, request.rawBody, nowMs);
  }

  private verifyCarrier(carrier: Json): void {
    const { signature: path, encoding, signed, separator, freeField } = this.scheme;
    const text = textAt(carrier, path);
    if (text === undefined || text === '') throw new SignatureMissing(`field ${path} of the body`);
    const signature = encoding === 'hex' ? fromHex(text) : fromBase64(text);
    if (signature === null || signature.length !== this.keys[0]!.digestBytes) {
      throw new SignatureMalformed(`The field ${path} is not ${this.keys[0]!.digestBytes} bytes of ${encoding}`);
    }
    const values = signed.map((field) => {
      const value = textAt(carrier, field) ?? '';
      if (separator !== '' && field !== freeField && value.includes(separator)) {
        throw new SignatureMalformed(`The field ${field} contains ${separator}, which ends it in the signed text`);
      }
      return value;
    });
    const isSigned = this.keys.some((key) => timingSafeEqual(key.sign(key.messageOf(values.join(separator))), signature));
    if (!isSigned) throw new SignatureMismatch('The signature is not one that an active secret of this source makes of the fields');
  }

  /** @throws SignatureMalformed, SignatureExpired, SignatureMismatch */
  private refuseReplay(carrier: Json, rawBody: Buffer, nowMs: number): void {
    const { timestampField, timestampUnit, toleranceSeconds, onceField } = this.scheme;
    if (timestampField === undefined) return;
    const instantMs = instantMsOf(textAt(carrier, timestampField) ?? '', timestampUnit);
    refuseOutOfTolerance(instantMs, toleranceSeconds, nowMs);
    if (onceField === undefined) return;
    const value = textAt(carrier, onceField) ?? '';
    const body = hash('sha256', rawBody, 'base64');
    const earlier = this.used.get(value);
    // The same body is a repeat, which a provider sends that has missed our response.
    if (earlier !== undefined && earlier.untilMs >= nowMs && earlier.body !== body) {
      throw new SignatureMismatch(`The field ${onceField} came with another body before`);
    }
    this.used.set(value, { body, untilMs: instantMs + toleranceSeconds * 1_000 });
  }
}
