import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const calendlyProof: PresetProof = {
  secrets: [{ secret: 'Z1jXqUwCAhcLQ8pUmRkBPO4Tb9S1cDeA' }, { secret: 'another' }],
  sign({ body, atMs, key }) {
    const timestamp = Math.floor(atMs / 1_000);
    const signature = createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex');
    return { headers: { 'calendly-webhook-signature': `t=${timestamp},v1=${signature}` }, body };
  },
  samples: [
    {
      title: 'an invitee who made an appointment',
      headers: jsonHeaders,
      body: {
        event: 'invitee.created',
        created_at: '2026-07-02T12:00:00.000000Z',
        created_by: 'https://api.calendly.com/users/AAAA',
        payload: { uri: 'https://api.calendly.com/scheduled_events/E/invitees/I', email: 'invitee@example.com' },
      },
      events: [{ eventId: null, type: 'invitee.created', customer: 'invitee@example.com', occurredAt: '2026-07-02T12:00:00.000Z' }],
    },
  ],
};
