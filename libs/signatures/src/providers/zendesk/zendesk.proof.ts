import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const zendeskProof: PresetProof = {
  secrets: [{ secret: 'dKTPAb0sHJMnR2LHgQTfTqqPmr5dCRM3' }, { secret: 'another' }],
  sign({ body, atMs, key }) {
    const timestamp = new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
    const signature = createHmac('sha256', key)
      .update(timestamp + body)
      .digest('base64');
    return { headers: { 'x-zendesk-webhook-signature-timestamp': timestamp, 'x-zendesk-webhook-signature': signature }, body };
  },
  samples: [
    {
      title: 'an event about a ticket',
      headers: { ...jsonHeaders, 'x-zendesk-account-id': '123', 'x-zendesk-webhook-invocation-id': '01GYDVX9Z3' },
      body: {
        id: 'cbe4028c-7239-495d-b020-f22348516046',
        type: 'zen:event-type:ticket.created',
        account_id: 22_129_848,
        subject: 'zen:ticket:35436',
        time: '2022-07-01T07:21:29.000000Z',
        detail: { id: '35436', requester_id: '8447388090494' },
      },
      events: [
        {
          eventId: 'cbe4028c-7239-495d-b020-f22348516046',
          type: 'zen:event-type:ticket.created',
          customer: '8447388090494',
          occurredAt: '2022-07-01T07:21:29.000Z',
        },
      ],
    },
    {
      title: 'a trigger without a body',
      headers: { ...jsonHeaders, 'x-zendesk-account-id': '123', 'x-zendesk-webhook-invocation-id': '01GYDVX9Z3' },
      body: '',
      events: [{ eventId: '01GYDVX9Z3', type: 'unknown', customer: '123', occurredAt: null, body: null }],
    },
  ],
};
