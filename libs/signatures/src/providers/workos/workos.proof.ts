import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const workosProof: PresetProof = {
  secrets: [{ secret: 'wrKx8cXyZ0aBcDeFgHiJkLmNo' }, { secret: 'another' }],
  sign: ({ body, atMs, key }) => ({
    headers: { 'workos-signature': `t=${atMs}, v1=${createHmac('sha256', key).update(`${atMs}.${body}`).digest('hex')}` },
    body,
  }),
  samples: [
    {
      title: 'a user of a directory who was created',
      headers: jsonHeaders,
      body: {
        id: 'event_01HFG90RRFN0ANSKK75RFAX7TQ',
        event: 'dsync.user.created',
        created_at: '2023-11-18T04:18:13.126Z',
        data: { id: 'directory_user_01E1X1B89NH8Z3SDFJR4H7RGX7', organization_id: 'org_01EZTR6WYX1A0DSE2CYMGXQ24Y' },
      },
      events: [
        {
          eventId: 'event_01HFG90RRFN0ANSKK75RFAX7TQ',
          type: 'dsync.user.created',
          customer: 'org_01EZTR6WYX1A0DSE2CYMGXQ24Y',
          occurredAt: '2023-11-18T04:18:13.126Z',
        },
      ],
    },
  ],
};
