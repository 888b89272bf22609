import { definePreset } from '../../preset.js';

export const sendgrid = definePreset({
  scheme: {
    kind: 'asymmetric',
    algorithm: 'ecdsa-p256-sha256',
    key: 'base64',
    header: 'x-twilio-email-event-webhook-signature',
    encoding: 'base64',
    timestampHeader: 'x-twilio-email-event-webhook-timestamp',
    template: '{timestamp}{body}',
  },
  sends: ['json'],
  split: { arrays: [''], keeps: 'element' },
  eventId: ['body.sg_event_id'],
  type: ['body.event'],
  customer: ['body.email'],
  occurredAt: ['body.timestamp'],
  retryHours: 24,
  guide: {
    title: 'SendGrid',
    url: 'https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features',
    secret: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==',
    notes: `The secret is the verification key of the signed event webhook. A request holds many events; each becomes an event of its own, and the repeats that
SendGrid is known for are the same event. The customer is the recipient.`,
  },
});
