import { z } from 'zod';
import { expression } from '../references.js';
import { optionalTemplate, template } from './template.js';

/** Headers that belong to the connection or to its credential: a manifest cannot set them. */
const ownHeaders =
  /^(host|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-(length|encoding)|authorization|proxy-.*|cookie|traceparent|tracestate|user-agent)$/i;

export const headerName = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9-]+$/, 'is no name for a header: it must be letters, digits and dashes')
  .refine(
    (header) => !ownHeaders.test(header),
    'is a header that Millrace sets itself, or that the connection’s credential sets: leave it out',
  );

const values = ['input', 'settings', 'account', 'delivery'] as const;

export const headerTemplates = z
  .record(headerName, optionalTemplate(...values))
  .refine((headers) => Object.keys(headers).length <= 50, 'must have at most 50 entries');

/** A text in SOQL with values, which are quoted. */
const soql = z
  .strictObject({
    soql: z.string().min(1).max(20_000).describe('The query in SOQL; `:name` stands for a value.'),
    values: z
      .record(z.string().regex(/^[A-Za-z]\w*$/), expression)
      .describe('The values by name, each an expression. A text is quoted, a list becomes a list in parentheses.'),
  })
  .describe('A query in SOQL whose values are always quoted.');

const givenSoql = z
  .strictObject({
    soqlFrom: expression.describe('The query in SOQL, as an expression: text that the author of a document wrote.'),
    valuesFrom: expression.describe('An object with the values by name, as an expression.'),
  })
  .describe('A query in SOQL that is part of the input. Its values are always quoted.');

const queryValue = z
  .union([expression, z.number(), z.boolean(), soql, givenSoql])
  .describe('An expression, a number, true or false, or a query in SOQL.');

const graphql = z
  .strictObject({
    document: z.string().min(1).max(100_000).describe('The GraphQL document. It is sent as it is written: only variables carry data.'),
    variables: expression.optional().describe('The variables, as an expression; default: the input.'),
  })
  .describe('A GraphQL request: POST with the document and its variables.');

/** How an operation becomes an HTTP request. */
export const operationRequest = z
  .strictObject({
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET').describe('The HTTP method.'),
    path: template(...values)
      .refine((path) => path === '' || path.startsWith('/'), 'must begin with /')
      .refine((path) => !/[?#\s\\]/.test(path), 'must hold no query, fragment, space or backslash: write the query in `query`')
      .refine((path) => !path.split('/').some((part) => /^(?:\.|%2e){1,2}$/i.test(part)), 'must not step up with . or ..')
      .default('')
      .describe('The path below `base`: text with values such as `{input.id}`, which are always encoded.'),
    query: z
      .record(z.string().min(1).max(200), queryValue)
      .default({})
      .describe('The query. A value that yields nothing or null is left out; a list becomes one parameter for each item.'),
    headers: headerTemplates
      .default({})
      .describe(
        'Headers of this operation: text with values such as `{delivery.id}`. With `{input.id?}` it is left out where the value is missing.',
      ),
    body: expression.optional().describe('The JSON body, as an expression; default: none.'),
    form: expression
      .optional()
      .describe('A form-encoded body, as an expression. What is nested is written with brackets: `card[number]=…`.'),
    graphql: graphql.optional(),
  })
  .superRefine(({ method, body, form, graphql: document }, context) => {
    const given = Object.entries({ body, form, graphql: document }).flatMap(([name, value]) => (value === undefined ? [] : [name]));
    if (given.length > 1)
      context.addIssue({ code: 'custom', path: [given[1]!], message: `does not go together with ${given[0]}: a request has one body` });
    if (document !== undefined && method !== 'POST') {
      context.addIssue({ code: 'custom', path: ['method'], message: 'must be POST, because the request is GraphQL' });
    } else if (given.length > 0 && (method === 'GET' || method === 'HEAD')) {
      context.addIssue({ code: 'custom', path: [given[0]!], message: `does not belong to a request with the method ${method}` });
    }
  });
export type OperationRequest = z.infer<typeof operationRequest>;
