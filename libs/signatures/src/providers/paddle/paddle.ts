import { definePreset } from '../../preset.js';

export const paddle = definePreset({
  scheme: {
    header: 'paddle-signature',
    list: { separator: ';', keyValue: '=', signature: 'h1', timestamp: 'ts' },
    template: '{timestamp}:{body}',
  },
  sends: ['json'],
  // `notification_id` differs between two destinations of one event.
  eventId: ['body.event_id'],
  type: ['body.event_type'],
  customer: ['body.data.customer_id', 'body.data[$substring(id, 0, 4) = "ctm_"].id'],
  occurredAt: ['body.occurred_at'],
  retryHours: 72,
  guide: {
    title: 'Paddle',
    url: 'https://developer.paddle.com/webhooks/signature-verification',
    secret: 'pdl_ntfset_01hv8wt8nffyfkm6krtz8wwvkv_a1b2c3',
    notes: `For Paddle Billing; the secret is that of the notification destination. Paddle’s own libraries tolerate 5 s; here it is 300 s, as for all.`,
  },
});
