import { definePreset } from '../../preset.js';

export const paystack = definePreset({
  scheme: { header: 'x-paystack-signature', algorithm: 'hmac-sha512' },
  sends: ['json'],
  // The body has no id of its own, and its bytes are the same on every repeat.
  eventId: [],
  type: ['body.event'],
  customer: ['body.data.customer.customer_code', 'body.data.recipient.recipient_code', 'body.data.domain'],
  occurredAt: ['body.data.paid_at', 'body.data.created_at', 'body.data.createdAt'],
  retryHours: 72,
  guide: {
    title: 'Paystack',
    url: 'https://paystack.com/docs/payments/webhooks/',
    secret: 'sk_test_4f0a9b8c7d6e5f4a3b2c1d0e',
    notes: `The secret is the secret key of the integration.`,
  },
});
