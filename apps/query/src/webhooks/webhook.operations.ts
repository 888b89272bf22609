import { z } from 'zod';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, json, timestamp } from '../operations/shape.js';

export const webhook = entity(
  'Webhook',
  {
    source: z.string().describe('The source that its requests come to.'),
    connection: z.string().describe('The connection by which it was registered.'),
    url: z.string().describe('The address that it calls.'),
    events: z.array(z.string()).describe('The events that it is for, as the system names them.'),
    ids: z.array(z.string()).describe('Its ids at the system: several where each event has a webhook of its own.'),
    registeredAt: timestamp.describe('When it was last registered, or found to be as it should.'),
    secretChangedAt: timestamp
      .nullable()
      .describe('When its secret was last put into the source; null if it belongs to an app of the system.'),
  },
  { about: 'A webhook that was registered at a partner for a source.' },
);
export type WebhookRow = z.infer<typeof webhook>;

export const webhookChange = enumeration(
  'WebhookChange',
  {
    created: 'There was none.',
    updated: 'It had other events or another secret, or was switched off.',
    unchanged: 'It was as it should be.',
    manual: 'The system has webhooks in the settings of an app: a person follows `steps`.',
  },
  'What a registration did.',
);

export const webhookState = enumeration(
  'WebhookState',
  {
    present: 'The partner has it as it was registered.',
    changed: 'The partner has it with another address or other events, or has switched it off. `registerWebhook` repairs it.',
    missing: 'The partner does not have it, or not for all of its events. `registerWebhook` makes it again.',
    unknown: 'The partner could not be asked, or refused to say.',
  },
  'What the partner has of a webhook.',
);

export const webhookCheck = entity(
  'WebhookCheck',
  {
    source: z.string().describe('The source that its requests come to.'),
    connection: z.string().describe('The connection by which it was registered, and by which the partner was asked.'),
    url: z.string().describe('The address that it calls, as it was registered.'),
    state: webhookState.describe('What the partner has of it.'),
    message: z.string().nullable().describe('What is missing or changed, or why it is unknown; null if it is as it was registered.'),
  },
  { about: 'What a partner has of a webhook that was registered there.' },
);
export type WebhookCheckRow = z.infer<typeof webhookCheck>;

const source = z.string().describe('The name of the source.');

export const listWebhooks = query({
  name: 'webhooks',
  about: 'The webhooks that were registered at partners, by source.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(webhook),
  failures: [],
});

export const checkWebhooks = command({
  name: 'checkWebhooks',
  about:
    'Asks the partners whether they still have the webhooks that were registered, and changes nothing. One that is missing or changed is repaired by\n`registerWebhook`.',
  scope: 'operate',
  cost: { weight: 100 },
  input: z.strictObject({ source: source.nullish().describe('Only the webhook of this source; default: all.') }),
  result: { checks: z.array(webhookCheck).describe('By source. Empty if none was registered. A source that does not exist is refused.') },
  failures: ['source.unknown'],
});

export const registerWebhook = command({
  name: 'registerWebhook',
  about:
    'Registers a webhook for a source at a partner, and puts its secret into the source, which is made if there is none. It is harmless twice: a webhook that\nexists is found by its address, and one that was removed or changed at the partner is repaired.',
  scope: 'admin',
  cost: { weight: 100 },
  input: z.strictObject({
    source,
    connection: z.string().nullish().describe('The connection by which it is registered; default: the one of the last time.'),
    events: z
      .array(z.string().min(1).max(200))
      .max(500)
      .nullish()
      .describe('The events, as the system names them; default: those of the last time, else those that the connector names.'),
    target: json
      .nullish()
      .describe('What the connector asks for beside the events, such as `{ owner, repo }`; default: that of the last time.'),
    rotateSecret: z
      .boolean()
      .nullish()
      .describe(
        'True: the webhook gets a new secret. The one before stays in the source, so that requests under way are taken. Default: false.',
      ),
  }),
  result: {
    change: webhookChange.describe('What it did.'),
    steps: z.array(z.string()).describe('What a person has to do; empty unless `change` is `MANUAL`.'),
    webhook: webhook.nullable().describe('The webhook; null if a person registers it.'),
  },
  failures: [
    'connection.unknown',
    'document.invalid',
    'document.versionMismatch',
    'secretStore.unavailable',
    'webhook.unsupported',
    'webhook.noAddress',
    'webhook.refused',
    'webhook.unavailable',
    'webhook.busy',
  ],
});
export type RegisterWebhookInput = InputOf<typeof registerWebhook>;

export const unregisterWebhook = command({
  name: 'unregisterWebhook',
  about: 'Removes the webhook of a source at the partner, and no other one there. The source and its secrets stay.',
  scope: 'admin',
  cost: { weight: 100 },
  input: z.strictObject({ source }),
  result: {
    removed: z
      .int()
      .describe('How many the partner had: 0 if none was left or none was registered. A source that does not exist is refused.'),
  },
  failures: ['source.unknown', 'connection.unknown', 'webhook.unsupported', 'webhook.refused', 'webhook.unavailable', 'webhook.busy'],
});
