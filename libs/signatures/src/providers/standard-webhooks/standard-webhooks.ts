import { definePreset } from '../../preset.js';

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md; Svix sends the same under names of its own. */
export const standardWebhooks = definePreset({
  scheme: {
    header: 'webhook-signature',
    encoding: 'base64',
    key: 'whsec',
    list: { separator: ' ', keyValue: ',', signature: 'v1' },
    timestampHeader: 'webhook-timestamp',
    idHeader: 'webhook-id',
    template: '{id}.{timestamp}.{body}',
  },
  aliases: { 'webhook-signature': 'svix-signature', 'webhook-timestamp': 'svix-timestamp', 'webhook-id': 'svix-id' },
  sends: ['json'],
  eventId: ['headers."webhook-id"', 'headers."svix-id"'],
  type: ['body.type'],
  customer: ['body.data.customer', 'body.data.customer.id', 'body.data.customer_id', 'body.data.customerId'],
  occurredAt: ['body.timestamp'],
});
