import type { SignatureSchemeOf } from '#libs/contracts';
import { jsonOf, textAt } from './body-field.js';
import { headerNames, headerValue, requiredHeader } from './request.js';
import type { HeaderNames, VerifiableRequest } from './request.js';
import type { VerifierOptions } from './scheme-verifier.js';
import { SignatureMalformed, SignatureMissing } from './signature.errors.js';
import { SignedText } from './signed-text.js';
import { instantMsOf, refuseOutOfTolerance } from './timestamp.js';

type SignedScheme = SignatureSchemeOf<'hmac' | 'asymmetric' | 'certificate'>;

interface EnvelopeOptions extends Pick<VerifierOptions, 'aliases' | 'publicUrl' | 'parameters'> {
  /** The length of each signature. Undefined: any length. */
  signatureBytes?: number | undefined;
  /** Bytes left free before the signed text. Default: none. */
  room?: number;
}

/** A request whose signature has been read, but not verified. */
export interface OpenedEnvelope {
  /** The signatures in the header; one that matches is enough. */
  readonly signatures: readonly Buffer[];
  /** The signed text, after the free bytes. */
  readonly message: Buffer;
  readonly timestamp: string | undefined;
}

/** The headers of a signed request: signatures, timestamp and message id. Compiled once per version of a source. */
export class SignedEnvelope {
  private readonly header: HeaderNames;
  private readonly timestampHeader: HeaderNames | undefined;
  private readonly idHeader: HeaderNames | undefined;
  private readonly text: SignedText;
  private readonly signatureBytes: number | undefined;
  private readonly room: number;

  /** @throws PublicUrlMissing, ParameterMissing */
  constructor(
    private readonly scheme: SignedScheme,
    { aliases = {}, publicUrl, parameters = {}, signatureBytes, room = 0 }: EnvelopeOptions,
  ) {
    const { header, timestampHeader, idHeader, template, bodyDigestQuery } = scheme;
    this.header = headerNames(header, aliases);
    this.timestampHeader = timestampHeader === undefined ? undefined : headerNames(timestampHeader, aliases);
    this.idHeader = idHeader === undefined ? undefined : headerNames(idHeader, aliases);
    this.text = new SignedText({ template, idHeader, aliases, publicUrl, parameters, bodyDigestQuery });
    this.signatureBytes = signatureBytes;
    this.room = room;
  }

  /** @throws SignatureMissing, SignatureMalformed, SignatureMismatch */
  open(request: VerifiableRequest): OpenedEnvelope {
    const header = headerValue(request, this.header);
    if (header === undefined) throw new SignatureMissing(`header ${this.header[0]}`);
    const { candidates, timestamp: listed } =
      this.scheme.list === undefined ? { candidates: [header], timestamp: undefined } : this.entries(header);
    const timestamp = this.timestampHeader === undefined ? listed : requiredHeader(request, this.timestampHeader);
    if (timestamp !== undefined) instantMsOf(timestamp, this.scheme.timestampUnit);
    const id = this.idHeader === undefined ? undefined : requiredHeader(request, this.idHeader);
    return { signatures: this.decodeAll(candidates), message: this.text.render(request, { timestamp, id }, this.room), timestamp };
  }

  /**
   * Call it after the signature was verified, so that a caller who cannot sign learns nothing about our clock.
   * @throws SignatureExpired; SignatureMalformed if the body, which is verified, has no timestamp where it must have one
   */
  refuseOutOfTime({ timestamp: signed }: OpenedEnvelope, { rawBody }: VerifiableRequest, nowMs: number): void {
    const { timestampField, timestampUnit, toleranceSeconds } = this.scheme;
    const timestamp = timestampField === undefined ? signed : timestampIn(rawBody, timestampField);
    if (timestamp !== undefined) refuseOutOfTolerance(instantMsOf(timestamp, timestampUnit), toleranceSeconds, nowMs);
  }

  /** The signatures and the timestamp in a list such as `t=…,v1=…`. Entries with other names belong to unknown versions and are ignored. */
  private entries(header: string): { candidates: string[]; timestamp: string | undefined } {
    const { separator, keyValue, signature, timestamp: timestampName } = this.scheme.list!;
    const candidates: string[] = [];
    let timestamp: string | undefined;
    for (const entry of header.split(separator)) {
      const end = entry.indexOf(keyValue);
      if (end < 0) continue;
      const name = entry.slice(0, end);
      const value = entry.slice(end + keyValue.length);
      if (name === signature) candidates.push(value);
      if (name === timestampName) {
        if (timestamp !== undefined) throw new SignatureMalformed(`The header ${this.header[0]} names two timestamps`);
        timestamp = value;
      }
    }
    if (candidates.length === 0) throw new SignatureMalformed(`The header ${this.header[0]} has no entry ${signature}`);
    if (timestampName !== undefined && timestamp === undefined) {
      throw new SignatureMalformed(`The header ${this.header[0]} has no entry ${timestampName}`);
    }
    return { candidates, timestamp };
  }

  /** A malformed entry beside a good one is passed over, as entries of unknown versions are: it may be meant for another receiver. */
  private decodeAll(candidates: readonly string[]): Buffer[] {
    const signatures = candidates.map((candidate) => this.decode(candidate)).filter((signature) => signature !== null);
    if (signatures.length > 0) return signatures;
    const { prefix, encoding } = this.scheme;
    const length = this.signatureBytes === undefined ? '' : `${this.signatureBytes} bytes of `;
    throw new SignatureMalformed(`The signature in ${this.header[0]} is not ${prefix === '' ? '' : `${prefix} and `}${length}${encoding}`);
  }

  /** Accepts exactly one spelling of each signature, so that none can be altered and still be read as the same bytes; null for any other. */
  private decode(text: string): Buffer | null {
    const { prefix, encoding } = this.scheme;
    if (text.startsWith(prefix)) {
      const digits = text.slice(prefix.length);
      const bytes = encoding === 'hex' ? fromHex(digits) : fromBase64(digits);
      if (bytes !== null && bytes.length > 0 && (this.signatureBytes === undefined || bytes.length === this.signatureBytes)) return bytes;
    }
    return null;
  }
}

/** @throws SignatureMalformed */
function timestampIn(rawBody: Buffer, field: string): string {
  const timestamp = textAt(jsonOf(rawBody), field);
  if (timestamp === undefined) throw new SignatureMalformed(`The body has no timestamp ${field}`);
  return timestamp;
}

/** Digits of one case; null for anything else. `Buffer.from` would drop an odd digit at the end. */
export function fromHex(text: string): Buffer | null {
  return /^(?:(?:[0-9a-f]{2})+|(?:[0-9A-F]{2})+)$/.test(text) ? Buffer.from(text, 'hex') : null;
}

/** Padded base64 in its canonical form; null for anything else. */
export function fromBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
