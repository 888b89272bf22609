import { definePreset } from '../../preset.js';

export const square = definePreset({
  scheme: { header: 'x-square-hmacsha256-signature', encoding: 'base64', template: '{url}{body}' },
  sends: ['json'],
  eventId: ['body.event_id'],
  type: ['body.type'],
  customer: [
    'body.data.object.payment.customer_id',
    'body.data.object.invoice.primary_recipient.customer_id',
    'body.data.object.subscription.customer_id',
    'body.data.object.customer.id',
    'body.merchant_id',
  ],
  occurredAt: ['body.created_at'],
  retryHours: 24,
  guide: {
    title: 'Square',
    url: 'https://developer.squareup.com/docs/webhooks/step3validate',
    secret: 'Ibxx_5AKakO-3qeNVR61Dw',
    spec: { publicUrl: 'https://hooks.example.com/webhooks/acme.square' },
    notes: `The secret is the subscription’s signature key. \`publicUrl\` must be the notification URL as it stands at Square, letter by letter.`,
  },
});
