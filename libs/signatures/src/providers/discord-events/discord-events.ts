import { definePreset } from '../../preset.js';

const taken = { status: 204, body: '' };

export const discordEvents = definePreset({
  scheme: {
    kind: 'asymmetric',
    algorithm: 'ed25519',
    key: 'hex',
    header: 'x-signature-ed25519',
    timestampHeader: 'x-signature-timestamp',
    template: '{timestamp}{body}',
  },
  sends: ['json'],
  // The body has no id of its own. It has its time, so that its bytes identify the event.
  eventId: [],
  type: ['body.event.type'],
  customer: ['body.event.data.user_id', 'body.event.data.user.id', 'body.event.data.guild.id', 'body.application_id'],
  occurredAt: ['body.event.timestamp'],
  handshakes: [{ method: 'POST', when: [{ body: 'type', equals: 0 }], status: 204 }],
  answer: () => taken,
  retryHours: 1 / 6,
  guide: {
    title: 'Discord, event webhooks',
    url: 'https://discord.com/developers/docs/events/webhook-events',
    secret: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    notes: `The secret is the application’s public key. A PING and events are answered with 204. Discord tries again for ten minutes.`,
  },
});
