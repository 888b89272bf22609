import { definePreset } from '../../preset.js';

export const razorpay = definePreset({
  scheme: { header: 'x-razorpay-signature' },
  sends: ['json'],
  eventId: ['headers."x-razorpay-event-id"'],
  type: ['body.event'],
  customer: [
    'body.payload.payment.entity.customer_id',
    'body.payload.subscription.entity.customer_id',
    'body.payload.invoice.entity.customer_id',
    'body.payload.payment.entity.email',
    'body.account_id',
  ],
  occurredAt: ['body.created_at'],
  retryHours: 24,
  guide: {
    title: 'Razorpay',
    url: 'https://razorpay.com/docs/webhooks/validate-test/',
    secret: 'a secret of the webhook',
    notes: `The secret is the webhook’s own, not the API’s. The customer is the buyer, else the account. Razorpay switches a webhook off that fails for 24 hours.`,
  },
});
