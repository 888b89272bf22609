import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = 'SuperSecret123';

export const muxProof: PresetProof = {
  secrets: [{ secret }, { secret: 'another' }],
  sign({ body, atMs, key }) {
    const timestamp = Math.floor(atMs / 1_000);
    const signature = createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex');
    return { headers: { 'mux-signature': `t=${timestamp},v1=${signature}` }, body };
  },
  vectors: [
    {
      title: 'the tests of Mux’s libraries',
      secret,
      atMs: 1_591_664_030_000,
      request: {
        headers: { 'Mux-Signature': 't=1591664030,v1=e43496b6aae982c4c2fd6f8e92935f1d90216f1f64d56024e72390acfb988272' },
        body: 'payload',
      },
    },
  ],
  samples: [
    {
      title: 'an asset that is ready',
      headers: jsonHeaders,
      body: {
        type: 'video.asset.ready',
        id: '3a56ac3d-33da-4366-855b-f592d898409d',
        created_at: '2018-09-04T00:05:13.000000Z',
        object: { type: 'asset', id: '0201p02fGKPE7MrbC269XRD7LpcHhrmbu0002' },
        environment: { name: 'Production', id: 'abcd1234' },
        data: { status: 'ready', passthrough: 'user-42' },
      },
      events: [
        {
          eventId: '3a56ac3d-33da-4366-855b-f592d898409d',
          type: 'video.asset.ready',
          customer: 'user-42',
          occurredAt: '2018-09-04T00:05:13.000Z',
        },
      ],
    },
  ],
};
