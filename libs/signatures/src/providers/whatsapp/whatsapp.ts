import { definePreset } from '../../preset.js';
import { challengeByGet } from '../../verify-token.js';

export const whatsapp = definePreset({
  scheme: { header: 'x-hub-signature-256', prefix: 'sha256=' },
  sends: ['json'],
  split: { arrays: ['entry.changes.value.messages', 'entry.changes.value.statuses'], keeps: 'request' },
  // A message has one id for all its states.
  eventId: [
    'body.entry.changes.value.messages.id',
    'body.entry.changes.value.statuses.id ? body.entry.changes.value.statuses.id & "/" & body.entry.changes.value.statuses.status',
  ],
  type: [
    'body.entry.changes.value.messages.type ? "message." & body.entry.changes.value.messages.type',
    'body.entry.changes.value.statuses.status ? "status." & body.entry.changes.value.statuses.status',
    'body.entry.changes.field',
  ],
  customer: [
    'body.entry.changes.value.messages.from',
    'body.entry.changes.value.statuses.recipient_id',
    'body.entry.changes.value.metadata.phone_number_id',
    'body.entry.id',
  ],
  occurredAt: ['body.entry.changes.value.messages.timestamp', 'body.entry.changes.value.statuses.timestamp', 'body.entry.time'],
  retryHours: 168,
  handshakes: [challengeByGet('verifyToken')],
  parameters: { verifyToken: 'the verify token that you choose and enter beside the address in the app’s dashboard' },
  guide: {
    title: 'WhatsApp',
    url: 'https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components',
    secret: '1f0e3dad99908345f7439f8ffabdffc4',
    spec: { parameters: { verifyToken: { value: 'a token that you choose' } } },
    notes: `The secret is the app secret; the handshake is that of \`meta\`. Each message and each status of a message becomes an event that looks like a request
with this one alone. The customer is the other side’s phone number.`,
  },
});
