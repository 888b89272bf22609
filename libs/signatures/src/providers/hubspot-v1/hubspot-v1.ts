import { definePreset } from '../../preset.js';

export const hubspotV1 = definePreset({
  scheme: { header: 'x-hubspot-signature', algorithm: 'sha256' },
  sends: ['json'],
  split: { arrays: [''], keeps: 'element' },
  // HubSpot does not promise that `eventId` alone is unique.
  eventId: ['body.eventId ? body.portalId & "/" & body.subscriptionId & "/" & body.objectId & "/" & body.occurredAt & "/" & body.eventId'],
  type: ['body.subscriptionType'],
  customer: ['body.objectId', 'body.fromObjectId', 'body.portalId'],
  occurredAt: ['body.occurredAt'],
  retryHours: 24,
  guide: {
    title: 'HubSpot, version 1 of its signature',
    url: 'https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests',
    secret: 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy',
    notes: `For apps whose requests carry no \`X-HubSpot-Signature-v3\`. The signature has no timestamp, so a request can be sent again; prefer \`hubspot\`.`,
  },
});
