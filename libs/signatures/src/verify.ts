import { timingSafeEqual } from 'node:crypto';
import type { HmacKey } from './hmac.js';
import type { HeaderNames, ResolvedScheme } from './scheme.js';
import { SignatureExpired, SignatureMalformed, SignatureMismatch, SignatureMissing } from './signature.errors.js';

export interface SignedRequest {
  /** Names and values by turns, as received: Node's `IncomingMessage.rawHeaders`. Joined values would hide that one came twice. */
  readonly rawHeaders: readonly string[];
  /** The body's bytes as received; nothing else was signed. */
  readonly rawBody: Buffer;
}

/**
 * Returns only where one of the scheme's keys signed exactly this body, id and timestamp, not longer ago (or ahead) than the tolerance.
 * @param nowMs when the request was received
 * @throws SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired
 */
export function verify(scheme: ResolvedScheme, request: SignedRequest, nowMs: number): void {
  const header = onlyValue(request, scheme.header);
  if (header === undefined) throw new SignatureMissing(scheme.header[0]!);
  const { candidates, timestamp: listed } =
    scheme.list === undefined ? { candidates: [header], timestamp: undefined } : entries(scheme, header);

  const timestamp = scheme.timestampHeader === undefined ? listed : required(request, scheme.timestampHeader);
  if (timestamp !== undefined && !/^\d{1,15}$/.test(timestamp)) throw new SignatureMalformed('The timestamp is not made of digits only');
  const id = scheme.idHeader === undefined ? undefined : messageId(scheme, required(request, scheme.idHeader));

  const signatures = candidates.map((candidate) => decode(scheme, candidate));
  if (!scheme.keys.some((key) => signedBy(key, scheme, signatures, request.rawBody, timestamp, id))) throw new SignatureMismatch();
  // Judged last: whoever cannot sign learns nothing about our clock.
  if (timestamp !== undefined) refuseOutOfTime(scheme, timestamp, nowMs);
}

/** The header's one value; undefined where it is absent or empty. */
function onlyValue(request: SignedRequest, names: HeaderNames): string | undefined {
  let found: string | undefined;
  for (const name of names) {
    const values = valuesOf(request.rawHeaders, name);
    if (values.length === 0) continue;
    if (values.length > 1) throw new SignatureMalformed(`The header ${name} was sent ${values.length} times`);
    const value = values[0];
    if (found !== undefined && value !== found) throw new SignatureMalformed(`The headers ${names.join(' and ')} differ`);
    found = value;
  }
  return found === '' ? undefined : found;
}

/** @param name in lower case */
function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const candidate = rawHeaders[at]!;
    if (candidate.length === name.length && candidate.toLowerCase() === name) values.push(rawHeaders[at + 1]!);
  }
  return values;
}

function required(request: SignedRequest, names: HeaderNames): string {
  const value = onlyValue(request, names);
  if (value === undefined) throw new SignatureMalformed(`The header ${names[0]} is missing`);
  return value;
}

/** The signatures and the timestamp in a list such as `t=…,v1=…`; entries of other names are of versions we do not speak. */
function entries(scheme: ResolvedScheme, header: string): { candidates: string[]; timestamp: string | undefined } {
  const { separator, keyValue, signature, timestamp: timestampName } = scheme.list!;
  const candidates: string[] = [];
  let timestamp: string | undefined;
  for (const entry of header.split(separator)) {
    const end = entry.indexOf(keyValue);
    if (end < 0) continue;
    const name = entry.slice(0, end);
    const value = entry.slice(end + keyValue.length);
    if (name === signature) candidates.push(value);
    if (name === timestampName) {
      if (timestamp !== undefined) throw new SignatureMalformed(`The header ${scheme.header[0]} names two timestamps`);
      timestamp = value;
    }
  }
  if (candidates.length === 0) throw new SignatureMalformed(`The header ${scheme.header[0]} has no entry ${signature}`);
  if (timestampName !== undefined && timestamp === undefined) {
    throw new SignatureMalformed(`The header ${scheme.header[0]} has no entry ${timestampName}`);
  }
  return { candidates, timestamp };
}

function messageId(scheme: ResolvedScheme, id: string): string {
  if (!/^[\x21-\x7e]{1,256}$/.test(id) || (scheme.afterId !== '' && id.includes(scheme.afterId))) {
    throw new SignatureMalformed(`The header ${scheme.idHeader![0]} is not a message id`);
  }
  return id;
}

/** Strict: each signature has exactly one spelling, so that none can be altered and still be read as the same bytes. */
function decode(scheme: ResolvedScheme, text: string): Buffer {
  const { digestBytes } = scheme.keys[0]!;
  if (text.startsWith(scheme.prefix)) {
    const digits = text.slice(scheme.prefix.length);
    const bytes = scheme.encoding === 'hex' ? fromHex(digits) : fromBase64(digits);
    if (bytes?.length === digestBytes) return bytes;
  }
  throw new SignatureMalformed(
    `The signature in ${scheme.header[0]} is not ${scheme.prefix === '' ? '' : `${scheme.prefix} and `}${digestBytes} bytes of ${scheme.encoding}`,
  );
}

function fromHex(text: string): Buffer | null {
  // An odd digit at the end would be dropped by Buffer.from.
  return /^(?:(?:[0-9a-f]{2})+|(?:[0-9A-F]{2})+)$/.test(text) ? Buffer.from(text, 'hex') : null;
}

function fromBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

function signedBy(
  key: HmacKey,
  scheme: ResolvedScheme,
  signatures: readonly Buffer[],
  body: Buffer,
  timestamp: string | undefined,
  id: string | undefined,
): boolean {
  const before = render(scheme.before, timestamp, id);
  const after = render(scheme.after, timestamp, id);
  const bodyAt = key.blockBytes + Buffer.byteLength(before);
  const message = Buffer.allocUnsafe(bodyAt + body.length + Buffer.byteLength(after));
  message.write(before, key.blockBytes);
  message.set(body, bodyAt);
  message.write(after, bodyAt + body.length);
  const expected = key.sign(message);
  return signatures.some((signature) => timingSafeEqual(signature, expected));
}

function render(parts: ResolvedScheme['before'], timestamp = '', id = ''): string {
  let text = '';
  for (const part of parts) text += 'text' in part ? part.text : part.stands === 'timestamp' ? timestamp : id;
  return text;
}

function refuseOutOfTime(scheme: ResolvedScheme, timestamp: string, nowMs: number): void {
  const aheadMs = Number(timestamp) * scheme.timestampUnitMs - nowMs;
  if (Math.abs(aheadMs) > scheme.toleranceSeconds * 1_000) throw new SignatureExpired(aheadMs, scheme.toleranceSeconds);
}
