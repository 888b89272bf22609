import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const paddleProof: PresetProof = {
  secrets: [{ secret: 'pdl_ntfset_01hv8wt8nffyfkm6krtz8wwvkv_a1b2c3' }, { secret: 'another' }],
  sign({ body, atMs, key }) {
    const timestamp = Math.floor(atMs / 1_000);
    const signature = createHmac('sha256', key).update(`${timestamp}:${body}`).digest('hex');
    return { headers: { 'paddle-signature': `ts=${timestamp};h1=${signature}` }, body };
  },
  samples: [
    {
      title: 'a transaction that was completed',
      headers: jsonHeaders,
      body: {
        event_id: 'evt_01hv8wt8nffez4p2t6typn4a5j',
        event_type: 'transaction.completed',
        occurred_at: '2024-04-12T10:12:33.423452Z',
        notification_id: 'ntf_01hv8wt8nffez4p2t6typn4a5k',
        data: { id: 'txn_01hv8wptq8987qeep44cyrewp9', customer_id: 'ctm_01hv6y1jedq4p1n0yqn5ba3ky4' },
      },
      events: [
        {
          eventId: 'evt_01hv8wt8nffez4p2t6typn4a5j',
          type: 'transaction.completed',
          customer: 'ctm_01hv6y1jedq4p1n0yqn5ba3ky4',
          occurredAt: '2024-04-12T10:12:33.423Z',
        },
      ],
    },
    {
      title: 'a customer who was created',
      headers: jsonHeaders,
      body: { event_id: 'evt_2', event_type: 'customer.created', data: { id: 'ctm_1' } },
      events: [{ eventId: 'evt_2', type: 'customer.created', customer: 'ctm_1', occurredAt: null }],
    },
  ],
};
