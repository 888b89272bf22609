import { definePreset } from '../../preset.js';

export const workos = definePreset({
  scheme: {
    header: 'workos-signature',
    list: { separator: ', ', keyValue: '=', signature: 'v1', timestamp: 't' },
    timestampUnit: 'ms',
    template: '{timestamp}.{body}',
  },
  sends: ['json'],
  eventId: ['body.id'],
  type: ['body.event'],
  customer: ['body.data.organization_id', 'body.data.organization.id', 'body.data.id'],
  occurredAt: ['body.created_at'],
  retryHours: 72,
  guide: {
    title: 'WorkOS',
    url: 'https://workos.com/docs/events/data-syncing/webhooks',
    secret: 'wrKx8cXyZ0aBcDeFgHiJkLmNo',
    notes: `The customer is the organization.`,
  },
});
