import { z } from 'zod';
import { json } from '../../json.js';
import { headerName } from './request.js';
import { operationIdempotency, operationName } from './operation.js';

/** The longest OpenAPI document, in characters. */
const longestDocument = 1_048_576;

const declared = z
  .strictObject({
    effect: z
      .enum(['read', 'write'])
      .optional()
      .describe('Whether it changes anything. Default: GET and HEAD read, the other methods write.'),
    idempotency: operationIdempotency
      .optional()
      .describe('What makes an operation that writes take effect once. Default: `class: none`, because OpenAPI does not say it.'),
    keyHeader: headerName
      .optional()
      .describe('With `class: key`: the header that takes the key, such as `Idempotency-Key`, whether the document names it or not.'),
  })
  .describe('What the OpenAPI document does not say about an operation.');

/** Operations that come from an OpenAPI document. */
export const openApiSource = z
  .strictObject({
    document: z
      .union([
        z.string().min(1).max(longestDocument).describe('The document as text, in YAML or JSON.'),
        z.record(z.string(), json).describe('The document as an object.'),
      ])
      .describe(
        'An OpenAPI 3.0 or 3.1 document. Its references stay within it: nothing is fetched. For `millrace apply`, `documentFile` may name a file in its place.',
      ),
    only: z
      .array(operationName)
      .min(1)
      .max(200)
      .optional()
      .describe('The operations that are taken. Default: each one that a connector can send, up to 200.'),
    operations: z.record(operationName, declared).default({}).describe('What the document does not say, by the name of the operation.'),
  })
  .superRefine(({ operations }, context) => {
    for (const [name, { effect, idempotency, keyHeader }] of Object.entries(operations)) {
      const issue = (field: string, message: string): void =>
        context.addIssue({ code: 'custom', path: ['operations', name, field], message });
      if (effect === 'read' && idempotency !== undefined) issue('idempotency', 'belongs to an operation that writes');
      if (idempotency?.class === 'key' && keyHeader === undefined) issue('keyHeader', 'is missing: it is the header that takes the key');
      if (idempotency?.class !== 'key' && keyHeader !== undefined) issue('keyHeader', 'belongs to `class: key`');
    }
  });
export type OpenApiSource = z.infer<typeof openApiSource>;
