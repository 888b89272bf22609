import { z } from 'zod';
import { operationName } from '../connectors/operation.js';
import { idempotency } from '../idempotency.js';
import { expression, refTo } from '../references.js';

export const operationDestination = z.strictObject({
  kind: z.literal('operation').describe('An operation of the connector of a connection.'),
  connection: refTo('Connection').describe('The name of the connection, a document of the same tenant.'),
  operation: operationName.describe('The operation of the connection’s connector: one that writes.'),
  input: expression
    .optional()
    .describe(
      'The input of the operation, as an expression over `payload`; default: the payload itself. It is computed when the delivery is planned.',
    ),
  idempotency: idempotency
    .optional()
    .describe(
      'Only where the input decides what the operation does, as in `rest`: what makes a delivery take effect once. Every other operation says it itself.',
    ),
});
