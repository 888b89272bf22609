import type { SignatureScheme } from '#libs/contracts';
import { Redaction } from '#libs/redaction';
import type { VerifiableRequest } from '#libs/signatures';
import type { WebhookSource } from './source.js';

/** A request without its secrets, and with a body of limited length. */
export interface KeptRequest {
  readonly method: string;
  readonly path: string;
  /** Without the question mark; null if there was none. */
  readonly query: string | null;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** The parts that were left out for being secret: `header NAME` in lower case, `query NAME`, `body`. */
  readonly redacted: readonly string[];
  /** The first bytes of the body; empty if it was left out. */
  readonly body: Buffer;
  readonly bodyBytes: number;
}

const mark = '[redacted]';

/** The names of headers and query parameters that carry credentials, whatever the scheme. */
const secretName =
  /authorization|cookie|token|secret|passw|pwd|credential|session|jwt|api[-_]?key|access[-_]?key|(?:^|[-_.])(?:auth|key|pass)(?:$|[-_.])/i;
/** Further names that carry credentials in a query, such as those of Azure. */
const secretParameter = /^(?:code|sig|signature)$/i;
/** The credentials of RFC 9110 begin with their scheme, in whichever header they stand. */
const credentials = /^\s*(?:basic|bearer|digest|negotiate|apikey|token)\s/i;

/** Never kept, even where a scheme has its signature there: whatever else stands in them is a credential. */
const neverKept = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie']);

/** Takes the secrets out of requests to a source. Compiled once per version of its document. */
export class RequestRedaction {
  private readonly signed: SignedParts;
  /** Headers that are no credentials, whatever their names: they prove something without being secret, or are read as data of events. */
  private readonly known: ReadonlySet<string>;
  private readonly secrets: Redaction;
  private readonly secretBytes: readonly Buffer[];

  constructor(source: WebhookSource) {
    this.signed = signedPartsOf(source);
    this.known = new Set([...this.signed.headers, ...headersRead(source)]);
    // Public keys and certificates are no secrets, and stand in requests of some schemes.
    const secrets = isPublic(source.preset.scheme) ? [] : source.secrets.flatMap(formsOf).filter(({ length }) => length >= shortestSecret);
    this.secrets = new Redaction(secrets);
    this.secretBytes = secrets.map((secret) => Buffer.from(secret));
  }

  /** @param maxBodyBytes a longer body is cut */
  kept({ method, target, rawHeaders, rawBody }: VerifiableRequest, maxBodyBytes: number): KeptRequest {
    const redacted = new Set<string>();
    const headers: { name: string; value: string }[] = [];
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const name = rawHeaders[at]!;
      const value = this.valueOf(name.toLowerCase(), rawHeaders[at + 1]!);
      if (value !== rawHeaders[at + 1]) redacted.add(`header ${name.toLowerCase()}`);
      headers.push({ name, value });
    }
    const mayKeepBody = !this.secretBytes.some((secret) => rawBody.includes(secret));
    if (!mayKeepBody) redacted.add('body');
    const { path, query } = this.addressOf(target, redacted);
    return {
      method,
      path,
      query,
      headers,
      redacted: [...redacted],
      body: mayKeepBody ? rawBody.subarray(0, maxBodyBytes) : Buffer.alloc(0),
      bodyBytes: rawBody.length,
    };
  }

  private valueOf(name: string, value: string): string {
    if (neverKept.has(name)) return mark;
    if (this.known.has(name)) return this.secrets.apply(value);
    return secretName.test(name) || credentials.test(value) ? mark : this.secrets.apply(value);
  }

  private addressOf(target: string, redacted: Set<string>): { path: string; query: string | null } {
    const start = target.indexOf('?');
    if (start === -1) return { path: target, query: null };
    const pairs = target.slice(start + 1).split('&');
    const query = pairs.map((pair) => {
      const end = pair.indexOf('=');
      if (end === -1) return this.secrets.apply(pair);
      const name = decodedName(pair.slice(0, end));
      const isSigned = this.signed.parameters.has(name);
      const isSecret = !isSigned && (secretName.test(name) || secretParameter.test(name));
      const kept = isSecret ? `${pair.slice(0, end)}=${mark}` : this.secrets.apply(pair);
      if (kept !== pair) redacted.add(`query ${name}`);
      return kept;
    });
    return { path: target.slice(0, start), query: query.join('&') };
  }
}

type KeptParts = Pick<KeptRequest, 'method' | 'redacted' | 'body' | 'bodyBytes'>;

/** Shorter texts are not secrets, as in `libs/redaction`. */
const shortestSecret = 8;

/**
 * Why a kept request cannot be verified again, as the end of a sentence about it; undefined if it can.
 * @param kept of a request whose signature did not suffice when it came
 */
export function verificationGap(source: WebhookSource, kept: KeptParts): string | undefined {
  const { scheme } = source.preset;
  if (scheme.kind === 'token' || scheme.kind === 'basic') return 'its scheme proves who sent it by a credential, and no credential is kept';
  const { headers, signsQuery } = signedPartsOf(source);
  const header = kept.redacted.find((part) => part.startsWith('header ') && headers.has(part.slice('header '.length)));
  if (header !== undefined) return `its ${header} is needed, and was not kept, because it may hold a credential`;
  if (signsQuery && kept.redacted.some((part) => part.startsWith('query '))) return 'its query is signed, and was not kept as a whole';
  return readingGap(source, kept);
}

/** Why the events of a kept request cannot be read, as {@link verificationGap} says it. A header that is missing could make them other events. */
export function readingGap({ expressions }: WebhookSource, { method, redacted, body, bodyBytes }: KeptParts): string | undefined {
  const names = redacted.filter((part) => part.startsWith('header ')).map((part) => part.slice('header '.length));
  const read = names.find((name) => expressions.some((text) => text.includes('headers') && text.toLowerCase().includes(name)));
  if (read !== undefined)
    return `an expression of the source reads its header ${read}, which was not kept, because it may hold a credential`;
  if (method !== 'POST') return `a ${method} is a handshake, and brings no event`;
  if (redacted.includes('body')) return 'its body held a secret of the source, and was not kept';
  return body.length < bodyBytes ? `of its body of ${bodyBytes} bytes only ${body.length} were kept` : undefined;
}

/** The headers that the expressions of a source read by their names, without that of a token. */
function headersRead({ expressions, preset: { scheme } }: WebhookSource): string[] {
  const token = scheme.kind === 'token' ? scheme.header?.toLowerCase() : undefined;
  const names = expressions.flatMap((text) => [...text.matchAll(/headers\.(?:"([^"]+)"|`([^`]+)`|(\w+))/g)]);
  return names.map(([, quoted, ticked, plain]) => (quoted ?? ticked ?? plain)!.toLowerCase()).filter((name) => name !== token);
}

interface SignedParts {
  /** In lower case. */
  readonly headers: ReadonlySet<string>;
  readonly parameters: ReadonlySet<string>;
  readonly signsQuery: boolean;
}

/** The parts of a request that prove who sent it without being credentials themselves. */
function signedPartsOf({ preset: { scheme, aliases } }: WebhookSource): SignedParts {
  if (scheme.kind === 'token' || scheme.kind === 'basic') return { headers: new Set(), parameters: new Set(), signsQuery: false };
  const texts = Object.entries(scheme).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  const template = 'template' in scheme ? scheme.template : '';
  const named = texts.filter(([field]) => /header$/i.test(field)).map(([, name]) => name.toLowerCase());
  const inTemplate = [...template.matchAll(/\{header\.([\w-]+)\}/g)].map((match) => match[1]!.toLowerCase());
  const headers = [...named, ...inTemplate];
  const parameters = [...template.matchAll(/\{query\.([\w.-]+)\}/g)].map((match) => match[1]!);
  const digest = 'bodyDigestQuery' in scheme && scheme.bodyDigestQuery !== undefined ? [scheme.bodyDigestQuery] : [];
  return {
    headers: new Set(headers.flatMap((name) => [name, ...(aliases[name] === undefined ? [] : [aliases[name]])])),
    parameters: new Set([...parameters, ...digest]),
    signsQuery: /\{(?:url|decodedUrl|query\.)/.test(template),
  };
}

/** The secret as the source has it, and the key alone of one with the prefix of Standard Webhooks. */
function formsOf(secret: string): string[] {
  const key = /^whsec_(.+)$/.exec(secret)?.[1];
  return key === undefined ? [secret] : [secret, key];
}

function isPublic(scheme: SignatureScheme): boolean {
  return scheme.kind === 'asymmetric' || scheme.kind === 'certificate' || scheme.kind === 'client-certificate';
}

function decodedName(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}
