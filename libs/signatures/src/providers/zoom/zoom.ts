import { createHmac } from 'node:crypto';
import type { Json } from '#libs/json';
import { definePreset } from '../../preset.js';
import { HandshakeMalformed } from '../../signature.errors.js';

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
  handshake: {
    methods: ['POST'],
    respond: ({ body, secrets }) => {
      if (!isUrlValidation(body)) return undefined;
      const plainToken = body.payload?.plainToken;
      if (typeof plainToken !== 'string') throw new HandshakeMalformed('endpoint.url_validation');
      // Zoom knows one secret, so the first one stands for all.
      return { status: 200, body: { plainToken, encryptedToken: createHmac('sha256', secrets[0]!).update(plainToken).digest('hex') } };
    },
  },
  retryHours: 2.1,
  guide: {
    title: 'Zoom',
    url: 'https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events',
    secret: 'DNiWfQ0xSkOqLmTnA7bVpw',
    notes: `The secret is the app’s secret token. An \`endpoint.url_validation\` is verified like everything else and answered with the proof that Zoom wants, which
is made with the first of the secrets; during a rotation, put Zoom’s current one first. Zoom tries again after 5, 30 and 90 minutes.`,
  },
});

function isUrlValidation(body: Json): body is { event: 'endpoint.url_validation'; payload?: { plainToken?: Json } } {
  return body !== null && typeof body === 'object' && 'event' in body && body.event === 'endpoint.url_validation';
}
