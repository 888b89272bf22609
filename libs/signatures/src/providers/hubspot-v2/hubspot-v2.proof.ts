import { createHash } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy';
const publicUrl = 'https://www.example.com/webhook_uri';

export const hubspotV2Proof: PresetProof = {
  secrets: [{ secret }, { secret: 'another of the app' }],
  publicUrl,
  sign: ({ body, key }) => ({
    headers: { 'x-hubspot-signature': createHash('sha256').update(`${key}POST${publicUrl}${body}`).digest('hex') },
    body,
  }),
  vectors: [
    {
      title: 'HubSpot’s documentation',
      secret,
      atMs: 0,
      request: {
        target: '/webhook_uri',
        headers: { 'X-HubSpot-Signature': '9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900' },
        body: '{"example_field":"example_value"}',
      },
    },
  ],
  samples: [
    {
      title: 'a workflow about a contact',
      headers: { ...jsonHeaders, 'x-hubspot-signature-version': 'v2' },
      body: { objectId: 51, portalId: 62_515, properties: { email: { value: 'a@example.com' } } },
      events: [{ eventId: null, type: 'unknown', customer: '51', occurredAt: null }],
    },
  ],
};
