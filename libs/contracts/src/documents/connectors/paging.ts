import { z } from 'zod';
import { expression } from '../references.js';

const items = expression.describe(
  'The items of a page, as an expression over `response`. It must yield a list: a page without one fails with operation.outputInvalid. Write `[response.body.orders]` where a system leaves an empty list out, or sends XML, where a list of one is one value.',
);
const param = z.string().min(1).max(100);
const size = {
  sizeParam: param.optional().describe('The query parameter for the size of a page; default: none is sent.'),
  size: z.int().min(1).max(10_000).optional().describe('The size of a page.'),
};
const bounds = {
  maxPages: z.int().min(1).max(1_000).default(10).describe('The most pages that one call reads.'),
};

/** How the pages of a list are read one after the other. Reading ends at an empty page, a repeated cursor, or after `maxPages`. */
export const paging = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('cursor').describe('A page names the next one by a cursor.'),
      items,
      next: expression.describe('The cursor of the next page, as an expression over `response`; null or nothing at the end.'),
      param: param
        .optional()
        .describe('The query parameter that takes the cursor. Default: none, so the request reads `page.cursor`, as in a body.'),
      ...size,
      ...bounds,
    }),
    z.strictObject({
      kind: z.literal('offset').describe('A page begins at a number of items.'),
      items,
      param: param.default('offset').describe('The query parameter that takes the offset.'),
      ...size,
      ...bounds,
    }),
    z.strictObject({
      kind: z.literal('page').describe('Pages have numbers.'),
      items,
      param: param.default('page').describe('The query parameter that takes the number of the page.'),
      first: z.int().min(0).max(1).default(1).describe('The number of the first page.'),
      ...size,
      ...bounds,
    }),
    z.strictObject({
      kind: z.literal('link').describe('The header `Link` names the next page (RFC 8288, `rel="next"`), at the same origin.'),
      items,
      ...size,
      ...bounds,
    }),
    z.strictObject({
      kind: z.literal('nextUrl').describe('The response names the address of the next page, at the same origin.'),
      items,
      next: expression.describe('The address of the next page, as an expression over `response`; null or nothing at the end.'),
      ...size,
      ...bounds,
    }),
  ])
  .describe('How the pages of a list are read one after the other.');
export type ListPaging = z.infer<typeof paging>;
