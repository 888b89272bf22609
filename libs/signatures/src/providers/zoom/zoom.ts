import { definePreset } from '../../preset.js';

export const zoom = definePreset({
  scheme: {
    header: 'x-zm-signature',
    prefix: 'v0=',
    timestampHeader: 'x-zm-request-timestamp',
    template: 'v0:{timestamp}:{body}',
  },
  sends: ['json'],
  // The body has no id of its own. It has its time, so that its bytes identify the event.
  eventId: [],
  type: ['body.event'],
  customer: ['body.payload.object.host_id', 'body.payload.object.owner_id', 'body.payload.account_id'],
  occurredAt: ['body.event_ts'],
  // Zoom knows one secret, so the first one stands for all.
  handshakes: [
    {
      method: 'POST',
      when: [{ body: 'event', equals: 'endpoint.url_validation' }],
      json: { plainToken: { body: 'payload.plainToken' }, encryptedToken: { body: 'payload.plainToken', hmac: {} } },
    },
  ],
  retryHours: 2.1,
  guide: {
    title: 'Zoom',
    url: 'https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events',
    secret: 'DNiWfQ0xSkOqLmTnA7bVpw',
    notes: `The secret is the app’s secret token. An \`endpoint.url_validation\` is verified like everything else and answered with the proof that Zoom wants, which
is made with the first of the secrets; during a rotation, put Zoom’s current one first. Zoom tries again after 5, 30 and 90 minutes.`,
  },
});
