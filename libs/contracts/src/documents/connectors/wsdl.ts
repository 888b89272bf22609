import { z } from 'zod';
import { operationIdempotency, operationName } from './operation.js';

/** The longest WSDL document, in characters. */
const longestDocument = 1_048_576;

const name = z.string().min(1).max(200);

const declared = z
  .strictObject({
    effect: z.enum(['read', 'write']).optional().describe('Whether it changes anything. Default: `write`, because a WSDL does not say it.'),
    idempotency: operationIdempotency
      .optional()
      .describe('What makes an operation that writes take effect once. Default: `class: none`, because a WSDL does not say it.'),
    keyField: name.optional().describe('With `class: key`: the element of the message that takes the key. The input has it no more.'),
  })
  .describe('What the WSDL does not say about an operation.');

/** Operations that come from a WSDL document. */
export const wsdlSource = z
  .strictObject({
    document: z
      .string()
      .min(1)
      .max(longestDocument)
      .describe(
        'A WSDL 1.1 document with its schemas, as XML. Nothing is fetched: what it imports must stand in it. For `millrace apply`, `documentFile` may name a file in its place.',
      ),
    service: name.optional().describe('The service. Default: the first one.'),
    port: name.optional().describe('The port of the service. Default: the first one with a binding of SOAP 1.1 or 1.2.'),
    only: z
      .array(operationName)
      .min(1)
      .max(200)
      .optional()
      .describe('The operations that are taken. Default: each one that a connector can send, up to 200.'),
    operations: z.record(operationName, declared).default({}).describe('What the WSDL does not say, by the name of the operation.'),
    check: operationName
      .optional()
      .describe('An operation that reads and needs no input, which a test of a connection sends. Default: connections cannot be tested.'),
  })
  .superRefine(({ operations, check }, context) => {
    for (const [operation, { effect, idempotency, keyField }] of Object.entries(operations)) {
      const issue = (field: string, message: string): void =>
        context.addIssue({ code: 'custom', path: ['operations', operation, field], message });
      if (effect === 'read' && idempotency !== undefined) issue('idempotency', 'belongs to an operation that writes');
      if (idempotency?.class === 'key' && keyField === undefined) issue('keyField', 'is missing: it is the element that takes the key');
      if (idempotency?.class !== 'key' && keyField !== undefined) issue('keyField', 'belongs to `class: key`');
    }
    if (check !== undefined && operations[check]?.effect !== 'read')
      context.addIssue({
        code: 'custom',
        path: ['check'],
        message: `must be an operation that reads: declare \`${check}: { effect: read }\``,
      });
  });
export type WsdlSource = z.infer<typeof wsdlSource>;
