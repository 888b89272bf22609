import { definePreset } from '../../preset.js';

export const intercom = definePreset({
  scheme: { header: 'x-hub-signature', prefix: 'sha1=', algorithm: 'hmac-sha1' },
  sends: ['json'],
  eventId: ['body.id'],
  type: ['body.topic'],
  customer: [
    'body.data.item.contacts.contacts[0].id',
    'body.data.item.contact.id',
    'body.data.item[type = "contact"].id',
    'body.data.item.user.id',
    'body.app_id',
  ],
  occurredAt: ['body.created_at'],
  // Sent when the address is saved. It asks for nothing but a 2xx.
  handshakes: [{ method: 'HEAD' }],
  retryHours: 1 / 60,
  guide: {
    title: 'Intercom',
    url: 'https://developers.intercom.com/docs/references/webhooks/webhook-models',
    secret: 'a1b2c3d4-e5f6-7890-abcd-ef0123456789',
    notes: `The secret is the app’s client secret. Intercom signs with SHA-1 and sends nothing better. A HEAD, which it sends when the address is saved, is
answered with 200. The \`ping\` of a new webhook is an event like any other. Intercom tries once more after a minute.`,
  },
});
