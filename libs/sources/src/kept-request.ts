import type { SignatureScheme } from '#libs/contracts';
import { Redaction, SecretFinder } from '#libs/redaction';
import type { VerifiableRequest } from '#libs/signatures';
import type { SecretParts, WebhookSource } from './source.js';

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
/** Bytes of a body behind the part of it that is kept. A secret that begins in that part may end in these, escaped. */
const lookedAtBeyond = 16_384;

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
  /** The places of the source’s credentials, whatever the names: the header or parameter of a token, also one in a handshake. */
  private readonly credentials: CredentialPlaces;
  private readonly secrets: Redaction;
  private readonly finder: SecretFinder;

  constructor(source: SecretParts) {
    this.signed = signedPartsOf(source);
    this.credentials = credentialPlacesOf(source);
    this.known = new Set([...this.signed.headers, ...headersRead(source)]);
    // Public keys and certificates are no secrets, and stand in requests of some schemes.
    const secrets = [...(isPublic(source.preset.scheme) ? [] : source.secrets.flatMap(formsOf)), ...source.confidential].filter(
      ({ length }) => length >= shortestSecret,
    );
    this.secrets = new Redaction(secrets);
    this.finder = new SecretFinder(secrets);
  }

  /** @param maxBodyBytes a longer body is cut */
  kept({ method, target, rawHeaders, rawBody }: VerifiableRequest, maxBodyBytes: number): KeptRequest {
    const headers: { name: string; value: string }[] = [];
    for (let at = 0; at < rawHeaders.length; at += 2) headers.push({ name: rawHeaders[at]!, value: rawHeaders[at + 1]! });
    const start = target.indexOf('?');
    const [path, query] = start === -1 ? [target, null] : [target.slice(0, start), target.slice(start + 1)];
    const mayKeep = this.mayKeepBody(rawBody.subarray(0, maxBodyBytes + lookedAtBeyond));
    const { redacted, ...head } = this.again({ path, query, headers, redacted: [] });
    return {
      method,
      ...head,
      redacted: mayKeep ? redacted : [...redacted, 'body'],
      body: mayKeep ? rawBody.subarray(0, maxBodyBytes) : Buffer.alloc(0),
      bodyBytes: rawBody.length,
    };
  }

  /**
   * The same parts without what is secret by this source. A request that was kept while its source was another one may show what is a secret now.
   * The body has to be asked for: {@link mayKeepBody}.
   */
  again({ path, query, headers, redacted }: KeptHead): KeptHead {
    const found = new Set(redacted);
    const kept = headers.map(({ name, value }) => {
      const without = this.valueOf(name.toLowerCase(), value);
      if (without !== value) found.add(`header ${name.toLowerCase()}`);
      return { name, value: without };
    });
    const shownQuery = query === null ? null : this.queryOf(query, found);
    return { path, query: shownQuery, headers: kept, redacted: [...found] };
  }

  /** False if a secret of the source stands in it, also escaped or as base64, or if its escapes can be read in too many ways. */
  mayKeepBody(body: Buffer): boolean {
    return !this.finder.mayStandIn(body);
  }

  private valueOf(name: string, value: string): string {
    if (neverKept.has(name) || this.credentials.headers.has(name)) return mark;
    const isSecret = !this.known.has(name) && (secretName.test(name) || credentials.test(value));
    return isSecret ? mark : (this.withoutSecrets(value) ?? mark);
  }

  /** Undefined if a secret stands in it in a form that cannot be taken out. */
  private withoutSecrets(text: string): string | undefined {
    const left = this.secrets.apply(text);
    return this.finder.mayStandIn(Buffer.from(left)) ? undefined : left;
  }

  private queryOf(query: string, redacted: Set<string>): string {
    const pairs = query.split('&').map((pair) => {
      const end = pair.indexOf('=');
      const given = end === -1 ? pair : pair.slice(0, end);
      const name = decodedName(given);
      const isCredential = this.credentials.parameters.has(name);
      const isSigned = this.signed.parameters.has(name);
      const isSecret = isCredential || (!isSigned && (secretName.test(name) || secretParameter.test(name)));
      const whole = isSecret && end !== -1 ? undefined : this.withoutSecrets(pair);
      const kept = whole ?? (end === -1 ? mark : `${this.withoutSecrets(given) ?? mark}=${mark}`);
      if (kept !== pair) redacted.add(`query ${this.withoutSecrets(name) ?? mark}`);
      return kept;
    });
    return pairs.join('&');
  }
}

type KeptHead = Pick<KeptRequest, 'path' | 'query' | 'headers' | 'redacted'>;

interface CredentialPlaces {
  /** In lower case. */
  readonly headers: ReadonlySet<string>;
  readonly parameters: ReadonlySet<string>;
}

function credentialPlacesOf({ preset: { scheme, handshakes } }: SecretParts): CredentialPlaces {
  const token = scheme.kind === 'token' ? [scheme] : [];
  const places = [...token, ...handshakes.flatMap(({ when }) => when.filter(({ parameter }) => parameter !== undefined))];
  return {
    headers: new Set(places.flatMap(({ header }) => (header === undefined ? [] : [header.toLowerCase()]))),
    parameters: new Set(places.flatMap(({ query }) => (query === undefined ? [] : [query]))),
  };
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
function headersRead({ expressions, preset: { scheme } }: SecretParts): string[] {
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
function signedPartsOf({ preset: { scheme, aliases } }: SecretParts): SignedParts {
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
