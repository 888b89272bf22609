import { definePreset } from '../../preset.js';

export const calendly = definePreset({
  scheme: {
    header: 'calendly-webhook-signature',
    list: { separator: ',', keyValue: '=', signature: 'v1', timestamp: 't' },
    template: '{timestamp}.{body}',
  },
  sends: ['json'],
  // The body has no id of its own, and its bytes are the same on every repeat.
  eventId: [],
  type: ['body.event'],
  customer: ['body.payload.email', 'body.payload.submitter', 'body.created_by'],
  occurredAt: ['body.created_at'],
  retryHours: 24,
  guide: {
    title: 'Calendly',
    url: 'https://developer.calendly.com/api-docs/ZG9jOjM2MzE2MDM4-webhook-signatures',
    secret: 'Z1jXqUwCAhcLQ8pUmRkBPO4Tb9S1cDeA',
    notes: `The secret is the signing key that the subscription was made with. The customer is the invitee by their mail address, else the user of Calendly.`,
  },
});
