import type { CustomScheme } from '#libs/contracts';
import { HmacKey } from './hmac.js';
import type { HashName } from './hmac.js';
import { SecretInvalid } from './signature.errors.js';

/** Other spellings of header names, by the canonical lower-case one: some providers use two (Shopify with and without `x-`). */
export type HeaderAliases = Readonly<Record<string, string>>;

/** Every spelling of one header, the canonical first; all lower-case. */
export type HeaderNames = readonly string[];

type Placeholder = 'timestamp' | 'id';
type Part = { readonly text: string } | { readonly stands: Placeholder };

/** A scheme and its secrets, ready to verify with: made once per version of a Source document. */
export interface ResolvedScheme {
  readonly header: HeaderNames;
  readonly prefix: string;
  readonly list: CustomScheme['list'];
  readonly encoding: CustomScheme['encoding'];
  readonly timestampHeader: HeaderNames | undefined;
  readonly timestampUnitMs: number;
  readonly toleranceSeconds: number;
  readonly idHeader: HeaderNames | undefined;
  /** The text that follows `{id}`; an id that contained it could be cut elsewhere, and so be another id under the same signature. */
  readonly afterId: string;
  /** What is signed before and after the body. */
  readonly before: readonly Part[];
  readonly after: readonly Part[];
  readonly keys: readonly HmacKey[];
}

/** @throws SecretInvalid */
export function resolveScheme(scheme: CustomScheme, secrets: readonly string[], aliases: HeaderAliases = {}): ResolvedScheme {
  const names = (header: string): HeaderNames => {
    const name = header.toLowerCase();
    const alias = aliases[name];
    return alias === undefined ? [name] : [name, alias];
  };
  const hashName = scheme.algorithm.slice('hmac-'.length) as HashName;
  const [before = '', after = ''] = scheme.template.split('{body}');
  return {
    header: names(scheme.header),
    prefix: scheme.prefix,
    list: scheme.list,
    encoding: scheme.encoding,
    timestampHeader: scheme.timestampHeader === undefined ? undefined : names(scheme.timestampHeader),
    timestampUnitMs: scheme.timestampUnit === 's' ? 1_000 : 1,
    toleranceSeconds: scheme.toleranceSeconds,
    idHeader: scheme.idHeader === undefined ? undefined : names(scheme.idHeader),
    afterId: /\{id\}([^{]*)/.exec(scheme.template)?.[1] ?? '',
    before: partsOf(before),
    after: partsOf(after),
    keys: secrets.map((secret, at) => new HmacKey(hashName, keyBytes(secret, scheme.key, `spec.secrets.${at}`))),
  };
}

function partsOf(template: string): Part[] {
  return template
    .split(/(\{timestamp\}|\{id\})/)
    .filter((piece) => piece !== '')
    .map((piece) => (piece === '{timestamp}' ? { stands: 'timestamp' } : piece === '{id}' ? { stands: 'id' } : { text: piece }));
}

function keyBytes(secret: string, form: CustomScheme['key'], field: string): Buffer {
  if (form === 'utf8') return Buffer.from(secret, 'utf8');
  if (form === 'hex') {
    if (!/^(?:[0-9a-f]{2})+$/i.test(secret)) throw new SecretInvalid(field, 'hexadecimal');
    return Buffer.from(secret, 'hex');
  }
  const text = form === 'whsec' && secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret;
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(text) || text === '') {
    throw new SecretInvalid(field, form === 'whsec' ? 'whsec_ followed by base64' : 'base64');
  }
  return Buffer.from(text, 'base64');
}
