import { definePreset } from '../../preset.js';

export const line = definePreset({
  scheme: { header: 'x-line-signature', encoding: 'base64' },
  sends: ['json'],
  split: { arrays: ['events'], keeps: 'element' },
  eventId: ['body.webhookEventId'],
  type: ['body.type'],
  customer: ['body.source.userId', 'body.source.groupId', 'body.source.roomId'],
  occurredAt: ['body.timestamp'],
  // The console's button "verify" sends a request without events.
  handshakes: [{ method: 'POST', when: [{ body: 'events', equals: [] }], json: {} }],
  retryHours: undefined,
  guide: {
    title: 'LINE',
    url: 'https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/',
    secret: '8c570fa6dd201bb328f1c1eac23a96d8',
    notes: `The secret is the channel secret. A request holds several events; each becomes an event of its own. LINE sends again only if redelivery is switched on
for the channel.`,
  },
});
