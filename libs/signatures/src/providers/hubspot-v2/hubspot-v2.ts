import { definePreset } from '../../preset.js';

export const hubspotV2 = definePreset({
  scheme: { header: 'x-hubspot-signature', algorithm: 'sha256', template: '{method}{url}{body}' },
  sends: ['json'],
  split: { arrays: [''], keeps: 'element' },
  // HubSpot does not promise that `eventId` alone is unique.
  eventId: ['body.eventId ? body.portalId & "/" & body.subscriptionId & "/" & body.objectId & "/" & body.occurredAt & "/" & body.eventId'],
  type: ['body.subscriptionType'],
  customer: ['body.objectId', 'body.fromObjectId', 'body.portalId'],
  occurredAt: ['body.occurredAt'],
  retryHours: 24,
  guide: {
    title: 'HubSpot, version 2 of its signature',
    url: 'https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests',
    secret: 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy',
    spec: { publicUrl: 'https://hooks.example.com/webhooks/acme.hubspot-v2' },
    notes: `For workflows and cards of older apps. The signature has no timestamp, so a request can be sent again; prefer \`hubspot\`. The body of a workflow’s
webhook is your own: name its id, type and customer in the document.`,
  },
});
