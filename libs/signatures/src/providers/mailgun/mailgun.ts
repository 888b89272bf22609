import { definePreset } from '../../preset.js';

export const mailgun = definePreset({
  scheme: {
    kind: 'fields',
    signature: 'signature.signature',
    signed: ['signature.timestamp', 'signature.token'],
    timestampField: 'signature.timestamp',
    onceField: 'signature.token',
  },
  sends: ['json'],
  eventId: ['body."event-data".id'],
  type: ['body."event-data".event'],
  customer: ['body."event-data".recipient', 'body."event-data"."user-variables".customer', 'body.signature."parent-account-id"'],
  occurredAt: ['body."event-data".timestamp'],
  retryHours: 8,
  guide: {
    title: 'Mailgun',
    url: 'https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks',
    secret: 'key-8f2a0c5d1e7b4a3f9c6d2e8b7a1f0c5d',
    notes: `The secret is the HTTP webhook signing key. Mailgun’s signature covers a timestamp and a token, not the event: TLS protects the event. Within the tolerance a
token is accepted with one body only, in each process of ingestion; a repeat of the same body is the same event. The customer is the recipient. Forms, as
routes and older webhooks send them, are not accepted.`,
  },
});
