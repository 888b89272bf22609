import { definePreset } from '../../preset.js';

export const pagerduty = definePreset({
  scheme: { header: 'x-pagerduty-signature', list: { separator: ',', keyValue: '=', signature: 'v1' } },
  sends: ['json'],
  eventId: ['body.event.id', 'headers."x-webhook-id"'],
  type: ['body.event.event_type'],
  customer: ['body.event.data.service.id', 'body.event.data.incident.service.id', 'body.event.data.id'],
  occurredAt: ['body.event.occurred_at'],
  retryHours: 48,
  guide: {
    title: 'PagerDuty',
    url: 'https://docs.pagerduty.com/developer/verifying-webhook-signatures',
    secret: 'fjQ2MB4HWfXBYvLjfPDZRjcQnWLiYbP',
    notes: `For webhooks of version 3; the secret is \`delivery_method.secret\` of the subscription. The customer is the service, so the events of one service keep
their order.`,
  },
});
