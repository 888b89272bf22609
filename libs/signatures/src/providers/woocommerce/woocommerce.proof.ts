import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const woocommerceProof: PresetProof = {
  secrets: [{ secret: 'p}Yj)|3q4k&cKm~d' }, { secret: 'another' }],
  sign: ({ body, key }) => ({ headers: { 'x-wc-webhook-signature': createHmac('sha256', key).update(body).digest('base64') }, body }),
  handshakes: [
    { title: 'the ping when a webhook is saved', request: { body: 'webhook_id=7' }, response: { status: 200, body: '' } },
    { title: 'a ping with more than a number', request: { body: 'webhook_id=7&a=b' }, response: undefined },
  ],
  samples: [
    {
      title: 'an order of a customer',
      headers: {
        ...jsonHeaders,
        'x-wc-webhook-topic': 'order.created',
        'x-wc-webhook-delivery-id': '8c2e2a3f5d6b7a8c9d0e1f2a3b4c5d6e',
        'x-wc-webhook-source': 'https://shop.example/',
      },
      body: { id: 727, customer_id: 25, date_modified_gmt: '2017-03-22T16:28:08', billing: { email: 'john.doe@example.com' } },
      events: [
        {
          eventId: '8c2e2a3f5d6b7a8c9d0e1f2a3b4c5d6e',
          type: 'order.created',
          customer: '25',
          occurredAt: '2017-03-22T16:28:08.000Z',
        },
      ],
    },
    {
      title: 'an order of a guest',
      headers: { ...jsonHeaders, 'x-wc-webhook-topic': 'order.created', 'x-wc-webhook-delivery-id': 'd-2' },
      body: { id: 728, customer_id: 0, billing: { email: 'guest@example.com' } },
      events: [{ eventId: 'd-2', type: 'order.created', customer: 'guest@example.com', occurredAt: null }],
    },
  ],
};
