import { SignatureMalformed } from './signature.errors.js';

/** The parts of a request that a scheme can use. Everything else about it is derived from them when a scheme needs it. */
export interface VerifiableRequest {
  readonly method: string;
  /** The request target as received: path and query. */
  readonly target: string;
  /** Alternating names and values: Node's `IncomingMessage.rawHeaders`. Joined values would hide that a header was sent twice. */
  readonly rawHeaders: readonly string[];
  readonly rawBody: Buffer;
  /** The address of the caller, which proxies that are trusted may have named. Default: unknown. */
  readonly clientAddress?: string;
  /** True if the request came through a trusted proxy. Default: false. */
  readonly isProxied?: boolean;
}

/** Other spellings of header names, by the canonical lower-case name: some providers use two (Shopify with and without `x-`). */
export type HeaderAliases = Readonly<Record<string, string>>;

/** The spellings of one header, in lower case, the canonical one first. */
export type HeaderNames = readonly [string, ...string[]];

export function headerNames(header: string, aliases: HeaderAliases): HeaderNames {
  const name = header.toLowerCase();
  const alias = aliases[name];
  return alias === undefined ? [name] : [name, alias];
}

/**
 * The only value of a header; undefined if it is absent or empty.
 * @throws SignatureMalformed if it was sent twice, or under two spellings with different values
 */
export function headerValue(request: VerifiableRequest, names: HeaderNames): string | undefined {
  let value: string | undefined;
  for (const name of names) {
    const values = valuesOf(request.rawHeaders, name);
    if (values.length === 0) continue;
    if (values.length > 1) throw new SignatureMalformed(`The header ${name} was sent ${values.length} times`);
    if (value !== undefined && values[0] !== value) throw new SignatureMalformed(`The headers ${names.join(' and ')} differ`);
    value = values[0];
  }
  return value === '' ? undefined : value;
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

/** @throws SignatureMalformed if the header is missing */
export function requiredHeader(request: VerifiableRequest, names: HeaderNames): string {
  const value = headerValue(request, names);
  if (value === undefined) throw new SignatureMalformed(`The header ${names[0]} is missing`);
  return value;
}

/** The query of a request target without its question mark; empty if there is none. */
export function rawQuery(target: string): string {
  const start = target.indexOf('?');
  return start < 0 ? '' : target.slice(start + 1);
}

/**
 * The only value of a query parameter; undefined if it is absent or empty.
 * @throws SignatureMalformed if it was sent twice
 */
export function queryValue(request: VerifiableRequest, name: string): string | undefined {
  const values = new URLSearchParams(rawQuery(request.target)).getAll(name);
  if (values.length > 1) throw new SignatureMalformed(`The query parameter ${name} was sent ${values.length} times`);
  return values[0] || undefined;
}
