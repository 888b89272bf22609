import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

export const standardWebhooksProof: PresetProof = {
  secrets: [{ secret }, { secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD' }],
  sign({ body, id, atMs, key }) {
    const timestamp = String(Math.floor(atMs / 1_000));
    const mac = createHmac('sha256', Buffer.from(key.slice('whsec_'.length), 'base64')).update(`${id}.${timestamp}.${body}`);
    return {
      headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac.digest('base64')}` },
      body,
    };
  },
  vectors: [
    {
      title: 'the specification',
      secret,
      atMs: 1_614_265_330_000,
      request: {
        headers: {
          'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
          'webhook-timestamp': '1614265330',
          'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
        },
        body: '{"test": 2432232314}',
      },
    },
  ],
  samples: [
    {
      title: 'a contact that was created',
      headers: jsonHeaders,
      body: { type: 'contact.created', timestamp: '2022-11-03T20:26:10.344522Z', data: { customer_id: 'c-7' } },
      events: [{ eventId: 'msg_2b7fJc0XhPq', type: 'contact.created', customer: 'c-7', occurredAt: '2022-11-03T20:26:10.344Z' }],
    },
  ],
};
