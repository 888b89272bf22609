import { definePreset } from '../../preset.js';

export const svix = definePreset({
  scheme: {
    header: 'svix-signature',
    encoding: 'base64',
    key: 'whsec',
    list: { separator: ' ', keyValue: ',', signature: 'v1' },
    timestampHeader: 'svix-timestamp',
    idHeader: 'svix-id',
    template: '{id}.{timestamp}.{body}',
  },
  aliases: { 'svix-signature': 'webhook-signature', 'svix-timestamp': 'webhook-timestamp', 'svix-id': 'webhook-id' },
  sends: ['json'],
  eventId: ['headers."svix-id"', 'headers."webhook-id"'],
  type: ['body.type', 'body.event_type', 'body.eventType'],
  customer: ['body.data.customer', 'body.data.customer.id', 'body.data.customer_id', 'body.data.customerId', 'body.data.user_id'],
  occurredAt: ['body.timestamp', 'body.created_at'],
  retryHours: 27.6,
  guide: {
    title: 'Svix',
    url: 'https://docs.svix.com/receiving/verifying-payloads/how-manual',
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    notes: `For everyone who sends with Svix under its header names, such as Clerk and Resend. The body is the sender’s own, so the document usually names
the customer: \`customer: body.data.user_id\`.`,
  },
});
