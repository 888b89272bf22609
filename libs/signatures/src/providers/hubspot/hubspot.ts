import { definePreset } from '../../preset.js';

export const hubspot = definePreset({
  scheme: {
    header: 'x-hubspot-signature-v3',
    encoding: 'base64',
    timestampHeader: 'x-hubspot-request-timestamp',
    timestampUnit: 'ms',
    template: '{method}{decodedUrl}{body}{timestamp}',
  },
  sends: ['json'],
  split: { arrays: [''], keeps: 'element' },
  // HubSpot does not promise that `eventId` alone is unique.
  eventId: ['body.eventId ? body.portalId & "/" & body.subscriptionId & "/" & body.objectId & "/" & body.occurredAt & "/" & body.eventId'],
  type: ['body.subscriptionType'],
  customer: ['body.objectId', 'body.fromObjectId', 'body.portalId'],
  occurredAt: ['body.occurredAt'],
  retryHours: 24,
  guide: {
    title: 'HubSpot',
    url: 'https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests',
    secret: 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy',
    spec: { publicUrl: 'https://hooks.example.com/webhooks/acme.hubspot' },
    notes: `Signatures of version 3, which HubSpot sends with every request. The secret is the app’s client secret; \`publicUrl\` must be the target URL as it
stands at HubSpot. A request holds up to 100 events; each becomes an event of its own. The customer is the object, such as the contact.`,
  },
});
