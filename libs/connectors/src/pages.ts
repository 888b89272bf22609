import type { ListPaging } from '#libs/contracts';
import { compileExpression, compileListExpression } from '#libs/expressions';
import type { Json } from '#libs/json';
import type { OperationScope, RequestParts } from './connector.js';
import type { Response } from './exchange.js';
import { InputRefused } from './operation.errors.js';
import { plainText } from './template.js';

/** The start of a page. */
export interface PagePosition {
  readonly cursor: Json;
  readonly number: number;
  readonly offset: number;
  /** The address of the page, if the page before it named one. */
  readonly url: string | undefined;
}

/** The items of a page, and the start of the next one, if there is one. */
export interface ListPage {
  readonly items: readonly Json[];
  readonly next: PagePosition | undefined;
}

/** Reads the pages of a list. */
export interface CompiledPaging {
  readonly maxPages: number;
  readonly first: PagePosition;
  /** The query of a page, with what the list's own query has. */
  queryAt(position: PagePosition, query: RequestParts['query']): RequestParts['query'];
  /** @param url the address of this page @throws ExpressionFailed if it holds no list; InputRefused if the next page lies elsewhere */
  read(position: PagePosition, scope: OperationScope, response: Response, url: URL): Promise<ListPage>;
}

export function compilePaging(paging: ListPaging, options: { readonly owner: string }): CompiledPaging {
  const items = compileListExpression(paging.items, options);
  const next = 'next' in paging ? compileExpression(paging.next, options) : undefined;
  const firstNumber = paging.kind === 'page' ? paging.first : 1;
  return {
    maxPages: paging.maxPages,
    first: { cursor: null, number: firstNumber, offset: 0, url: undefined },
    queryAt: (position, query) => [...query.filter(([name]) => !isPaged(paging, name)), ...parametersAt(paging, position)],
    read: async (position, scope, response, url) => {
      const seen = { ...scope, response };
      const found = await items.evaluate(seen);
      const named = next === undefined ? undefined : await next.evaluate(seen);
      const position2 = found.length === 0 ? undefined : after(paging, position, { found, named, response, url });
      return { items: found, next: position2 };
    },
  };
}

function isPaged(paging: ListPaging, name: string): boolean {
  return name === paging.sizeParam || ('param' in paging && name === paging.param);
}

function parametersAt(paging: ListPaging, { cursor, number, offset }: PagePosition): [string, string][] {
  const { size, sizeParam } = paging;
  const sizes: [string, string][] = sizeParam === undefined || size === undefined ? [] : [[sizeParam, String(size)]];
  if (!('param' in paging) || paging.param === undefined) return sizes;
  if (paging.kind === 'cursor') return cursor === null ? sizes : [...sizes, [paging.param, plainText(cursor) ?? JSON.stringify(cursor)]];
  return [...sizes, [paging.param, String(paging.kind === 'offset' ? offset : number)]];
}

interface ReadPage {
  readonly found: readonly Json[];
  readonly named: Json | undefined;
  readonly response: Response;
  readonly url: URL;
}

function after(paging: ListPaging, { number, offset }: PagePosition, { found, named, response, url }: ReadPage): PagePosition | undefined {
  const position = { cursor: null as Json, number: number + 1, offset: offset + found.length, url: undefined as string | undefined };
  if (paging.kind === 'cursor') return isNothing(named) ? undefined : { ...position, cursor: named! };
  if (paging.kind === 'offset' || paging.kind === 'page') {
    return paging.size !== undefined && found.length < paging.size ? undefined : position;
  }
  const address = paging.kind === 'link' ? nextLink(response.headers['link']) : named;
  if (isNothing(address)) return undefined;
  const next = URL.parse(plainText(address) ?? '', url.href);
  if (next?.origin !== url.origin) throw new InputRefused(`The next page lies at ${next?.origin ?? 'no address'}, not at ${url.origin}`);
  return { ...position, url: next.href };
}

function isNothing(value: Json | undefined): boolean {
  return value === undefined || value === null || value === '' || value === false;
}

/** The target of `rel="next"` in a `Link` header (RFC 8288 §3). */
function nextLink(header: string | undefined): string | undefined {
  for (const [, target, parameters = ''] of (header ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[^\s=,;]+(?:\s*=\s*(?:"[^"]*"|[^",;\s]*))?)*)/g)) {
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^",;\s]+))/i.exec(parameters);
    if ((rel?.[1] ?? rel?.[2] ?? '').toLowerCase().split(/\s+/).includes('next')) return target;
  }
  return undefined;
}
