import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const svixProof: PresetProof = {
  secrets: [{ secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }, { secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD' }],
  sign({ body, id, atMs, key }) {
    const timestamp = String(Math.floor(atMs / 1_000));
    const mac = createHmac('sha256', Buffer.from(key.slice('whsec_'.length), 'base64')).update(`${id}.${timestamp}.${body}`);
    return {
      headers: { 'svix-id': id, 'svix-timestamp': timestamp, 'svix-signature': `v1,${mac.digest('base64')}` },
      body,
    };
  },
  samples: [
    {
      title: 'a user of Clerk who was created',
      headers: jsonHeaders,
      body: { type: 'user.created', timestamp: 1654012591835, data: { user_id: 'user_29w83sxmDNGwOuEthce5gg56FcC' } },
      events: [
        {
          eventId: 'msg_2b7fJc0XhPq',
          type: 'user.created',
          customer: 'user_29w83sxmDNGwOuEthce5gg56FcC',
          occurredAt: '2022-05-31T15:56:31.835Z',
        },
      ],
    },
  ],
};
