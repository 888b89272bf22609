import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const shopifyProof: PresetProof = {
  secrets: [{ secret: 'hush' }, { secret: 'shpss_another' }],
  sign: ({ body, key }) => ({ headers: { 'x-shopify-hmac-sha256': createHmac('sha256', key).update(body).digest('base64') }, body }),
  samples: [
    {
      title: 'an order that was paid',
      headers: {
        ...jsonHeaders,
        'x-shopify-topic': 'orders/paid',
        'x-shopify-webhook-id': 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
        'x-shopify-shop-domain': 'acme.myshopify.com',
        'x-shopify-triggered-at': '2026-03-29T18:00:27.877041743Z',
      },
      body: '{"id":820982911946154508,"customer":{"id":115310627314723954}}',
      events: [
        {
          eventId: 'b54557e4-bdd9-4b37-8a5f-bf7d70bcd043',
          type: 'orders/paid',
          customer: '115310627314723954',
          occurredAt: '2026-03-29T18:00:27.877Z',
        },
      ],
    },
    {
      title: 'a product that was updated, under the newer names',
      headers: {
        ...jsonHeaders,
        'shopify-topic': 'products/update',
        'shopify-webhook-id': 'w-2',
        'shopify-shop-domain': 'a.myshopify.com',
      },
      body: { id: 1 },
      events: [{ eventId: 'w-2', type: 'products/update', customer: 'a.myshopify.com', occurredAt: null }],
    },
  ],
};
