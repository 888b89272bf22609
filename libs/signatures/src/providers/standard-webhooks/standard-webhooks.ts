import { definePreset } from '../../preset.js';

/** Svix sends the same under header names of its own. */
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
  retryHours: 27.6,
  guide: {
    title: 'Standard Webhooks, Svix',
    url: 'https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md',
    source: 'helpdesk',
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    spec: { customer: 'body.data.account_id' },
    notes: 'Signatures of versions other than `v1` are passed over.',
  },
});
