import { definePreset } from '../../preset.js';
import { challengeByGet } from '../../verify-token.js';

export const meta = definePreset({
  scheme: { header: 'x-hub-signature-256', prefix: 'sha256=' },
  sends: ['json'],
  split: { arrays: ['entry.changes', 'entry.messaging', 'entry.standby'], keeps: 'request' },
  // Only messages have an id. Other changes carry their time, so that their bytes identify them.
  eventId: ['body.entry.messaging.message.mid'],
  type: [
    'body.entry.changes.field ? body.object & "." & body.entry.changes.field',
    'body.entry.messaging ? body.object & ".messaging"',
    'body.object',
  ],
  customer: ['body.entry.messaging.sender.id', 'body.entry.changes.value.from.id', 'body.entry.id'],
  occurredAt: ['body.entry.messaging.timestamp', 'body.entry.time'],
  retryHours: 36,
  handshakes: [challengeByGet('verifyToken')],
  parameters: { verifyToken: 'the verify token that you choose and enter beside the address in the app’s dashboard' },
  guide: {
    title: 'Meta (Facebook, Instagram, Threads)',
    url: 'https://developers.facebook.com/docs/graph-api/webhooks/getting-started',
    secret: '1f0e3dad99908345f7439f8ffabdffc4',
    spec: { parameters: { verifyToken: { value: 'a token that you choose' } } },
    notes: `The secret is the app secret. The GET with \`hub.challenge\`, which Meta sends when the address is saved, is answered if its \`hub.verify_token\` is the
parameter \`verifyToken\`. A request can hold many changes and messages: each becomes an event that looks like a request with this one alone.`,
  },
});
