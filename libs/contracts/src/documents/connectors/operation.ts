import { z } from 'zod';
import { expression, jsonSchema } from '../references.js';
import { errorRule } from './error-rule.js';
import { paging } from './paging.js';
import { operationRequest } from './request.js';

const [second, minute, day] = [1_000, 60_000, 86_400_000];

export const operationName = z
  .string()
  .regex(/^[a-z][A-Za-z0-9]{0,62}$/, 'must be 1 to 63 letters and digits that begin with a lower-case letter');

/** The idempotency classes of operations that write: they take effect once, although a request may have to be repeated whose answer nobody has. */
export const operationIdempotency = z
  .discriminatedUnion('class', [
    z
      .strictObject({
        class: z.literal('key').describe('The system recognises a repeat by a key, and takes it once.'),
        windowMs: z
          .int()
          .min(10 * minute)
          .max(365 * day)
          .optional()
          .describe('For how long the system keeps a key, in ms; default: for ever.'),
      })
      .describe('`key`: the request carries `delivery.id`, by which the system recognises a repeat.'),
    z
      .strictObject({
        class: z.literal('upsert').describe('The input sets an object by its own key; setting it twice leaves the same object.'),
      })
      .describe('`upsert`: the input sets an object by its own key, so a repeat changes nothing unless a newer one came between.'),
    z
      .strictObject({ class: z.literal('absolute').describe('A repeat changes nothing, whatever came between.') })
      .describe('`absolute`: a repeat changes nothing, whatever came between.'),
    z
      .strictObject({
        class: z.literal('verify').describe('An effect can be found again, so it is looked for before a request is repeated.'),
        operation: operationName.describe(
          'The operation that finds the effect: one that reads, with the same input. Its output is null if there is no effect.',
        ),
        settleMs: z
          .int()
          .min(0)
          .max(10 * minute)
          .default(5 * second)
          .describe('How long an effect may take to be found, in ms.'),
        otherwise: z
          .enum(['retry', 'park'])
          .default('park')
          .describe('What happens if the look-up is refused. `retry`: the request is repeated. `park`: a person decides.'),
      })
      .describe('`verify`: before a request is repeated, the system is asked whether it took effect.'),
    z
      .strictObject({ class: z.literal('none').describe('Each request takes effect.') })
      .describe('`none`: each request takes effect, so one whose outcome is unknown is repeated only with consent.'),
    z
      .strictObject({ class: z.literal('declared').describe('The input decides, so who calls the operation says its class.') })
      .describe('`declared`: the input decides what the request does, so the destination says its class.'),
  ])
  .describe('What makes the operation take effect once.');
export type OperationIdempotency = z.infer<typeof operationIdempotency>;

const fields = {
  summary: z.string().min(1).max(300).describe('What the operation does, as a verb with its object.'),
  effect: z.enum(['read', 'write']).describe('Whether it changes anything.'),
  idempotency: operationIdempotency.optional().describe('Of an operation that writes: what makes it take effect once.'),
  input: jsonSchema.describe(
    'The JSON Schema of the input. A field with `x-address: true` decides whom or what the operation reaches: apply warns of a flow in which a model chooses it.',
  ),
  output: jsonSchema.default({}).describe('The JSON Schema of the output; default: any.'),
  result: expression
    .optional()
    .describe('The output, as an expression over `response` and `input`; default: `response.body`, or all items of all pages.'),
  bytes: expression
    .optional()
    .describe(
      'Whether the body of a response that means success is bytes, as an expression over `input`. Then `response.base64` has it, and `response.text` and `response.body` have nothing.',
    ),
  errors: z.array(errorRule).max(50).default([]).describe('Rules of this operation, before those of the connector.'),
  paging: paging.optional(),
  maxBodyBytes: z
    .int()
    .min(1_024)
    .max(16 * 1_024 * 1_024)
    .default(1_024 * 1_024)
    .describe('The longest response that is read, in bytes. A read that is answered with a longer one fails with operation.outputInvalid.'),
};

interface Checked {
  readonly effect: 'read' | 'write';
  readonly idempotency?: OperationIdempotency | undefined;
  readonly paging?: unknown;
  readonly request?: unknown;
}

function requirePromise({ effect, idempotency, paging: pages, request }: Checked, context: z.RefinementCtx): void {
  const issue = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
  if (effect === 'write' && idempotency === undefined)
    issue('idempotency', 'is missing: an operation that writes says what makes it take effect once');
  if (effect === 'read' && idempotency !== undefined) issue('idempotency', 'belongs to an operation that writes');
  if (effect === 'write' && pages !== undefined) issue('paging', 'belongs to an operation that reads');
  if (idempotency?.class === 'key' && request !== undefined && !/\bdelivery\.id\b/.test(JSON.stringify(request)))
    issue('idempotency', 'is `key`, but the request carries no key: write `{delivery.id}` where the system expects it');
}

/** One thing that can be done in a system. */
export const operation = z.strictObject({ ...fields, request: operationRequest.describe('The request.') }).superRefine(requirePromise);

/** The same of a connector that Millrace brings along, whose request may be made by code. */
export const builtInOperation = z.strictObject({ ...fields, request: operationRequest.optional() }).superRefine(requirePromise);
export type ConnectorOperation = z.infer<typeof builtInOperation>;
