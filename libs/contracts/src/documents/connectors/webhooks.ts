import { z } from 'zod';
import { presets } from '../presets.generated.js';
import { expression, jsonSchema } from '../references.js';
import { operationName } from './operation.js';

const scheme = z
  .enum([...presets, 'custom'])
  .describe(
    'The scheme of the sources that take its webhooks. A source of the scheme `custom` must exist; others are made where there is none.',
  );
const ofWebhook = 'Sees `item`, a webhook of the list.';
const inputOf = (more: string): string => `The input of the operation. Sees \`url\`, the address of the source, \`target\`${more}.`;

const api = z
  .strictObject({
    kind: z.literal('api').describe('By operations.'),
    scheme,
    target: jsonSchema
      .default({ type: 'object', additionalProperties: false })
      .describe('The JSON Schema of what a registration names beside its events, such as a repository. Default: nothing.'),
    events: z
      .array(z.string().min(1).max(200))
      .max(500)
      .default([])
      .describe('The events that are asked for where none are named; default: some must be named.'),
    perEvent: z.boolean().default(false).describe('True if each event needs a webhook of its own.'),
    list: z
      .strictObject({
        operation: operationName.describe('An operation that reads a list.'),
        input: expression.optional().describe(`${inputOf('')} Default: an empty object.`),
        id: expression.describe(`The id of a webhook. ${ofWebhook}`),
        url: expression.describe(`The address that it calls. ${ofWebhook}`),
        events: expression.describe(`The events that it is for. ${ofWebhook}`),
        active: expression
          .optional()
          .describe(
            `False if the webhook is switched off at the system, so that it calls nobody. ${ofWebhook} Default: a webhook of the list is switched on.`,
          ),
      })
      .describe('How webhooks that exist are found.'),
    create: z
      .strictObject({
        operation: operationName.describe('An operation that writes.'),
        input: expression.describe(inputOf(', `events`, `event` (with `perEvent`) and `secret` (one that is `generated`)')),
        id: expression.describe('The id of the new webhook. Sees `output`.'),
      })
      .describe('How a webhook is made.'),
    update: z
      .strictObject({
        operation: operationName.describe('An operation that writes.'),
        input: expression.describe(inputOf(', `id`, `events` and, if there is a new one, `secret`')),
      })
      .optional()
      .describe(
        'How events and secret of a webhook are changed, and one that is switched off is switched on again; default: a new one is made and the old one removed.',
      ),
    delete: z
      .strictObject({
        operation: operationName.describe('An operation that writes.'),
        input: expression.describe(inputOf(' and `id`')),
      })
      .describe('How a webhook is removed.'),
    secret: z
      .discriminatedUnion('kind', [
        z.strictObject({
          kind: z.literal('returned').describe('The system makes it, and returns it once.'),
          value: expression.describe('The secret. Sees `output` of `create`.'),
        }),
        z.strictObject({ kind: z.literal('generated').describe('Millrace makes it, and gives it to the system.') }),
        z.strictObject({
          kind: z.literal('fixed').describe('It belongs to the app at the system, so the source has it already.'),
          note: z.string().min(1).max(300).describe('Where it is found, for people.'),
        }),
      ])
      .describe('Where the secret comes from with which requests are signed.'),
  })
  .describe('Webhooks that are registered by operations.');

const manual = z
  .strictObject({
    kind: z.literal('manual').describe('By a person.'),
    scheme,
    otherSchemes: z
      .array(z.enum([...presets, 'custom']))
      .max(20)
      .default([])
      .describe('Further schemes that take its webhooks, such as one for an older version of its signature.'),
    steps: z.array(z.string().min(1).max(500)).min(1).max(20).describe('The steps, for people; `{url}` is the address of the source.'),
  })
  .describe('Webhooks that a person registers, because the system has them in the settings of an app.');

/** How webhooks are registered at a system. */
export const connectorWebhooks = z
  .discriminatedUnion('kind', [api, manual])
  .describe('How webhooks are registered at the system; default: they are not.');
export type ConnectorWebhooks = z.infer<typeof connectorWebhooks>;
export type ApiWebhooks = z.infer<typeof api>;

/** The schemes of the sources that take the webhooks of a system, the recommended one first. */
export function webhookSchemes(webhooks: ConnectorWebhooks): string[] {
  return [webhooks.scheme, ...(webhooks.kind === 'manual' ? webhooks.otherSchemes : [])];
}

interface Named {
  readonly webhooks?: ConnectorWebhooks | undefined;
  readonly operations: Readonly<Record<string, { effect: string }>>;
}

/** The operations that are named exist, and have the effect that is needed. */
export function requireWebhookOperations({ webhooks, operations }: Named, context: z.RefinementCtx): void {
  if (webhooks?.kind !== 'api') return;
  for (const [part, effect] of [
    ['list', 'read'],
    ['create', 'write'],
    ['update', 'write'],
    ['delete', 'write'],
  ] as const) {
    const named = webhooks[part]?.operation;
    const found = named === undefined ? undefined : operations[named];
    if (named === undefined || found?.effect === effect) continue;
    const problem = found === undefined ? 'names no operation of this connector' : `must be an operation that ${effect}s`;
    context.addIssue({ code: 'custom', path: ['webhooks', part, 'operation'], message: `${problem}: ${named}` });
  }
  if (webhooks.perEvent && webhooks.secret.kind !== 'fixed')
    context.addIssue({
      code: 'custom',
      path: ['webhooks', 'perEvent'],
      message: 'needs a secret that is fixed: each webhook would have another one',
    });
}
