import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = 'Ibxx_5AKakO-3qeNVR61Dw';
const publicUrl = 'https://hooks.example.com/webhooks/acme.square';

export const squareProof: PresetProof = {
  secrets: [{ secret }, { secret: 'another' }],
  publicUrl,
  sign: ({ body, key }) => ({
    headers: {
      'x-square-hmacsha256-signature': createHmac('sha256', key)
        .update(publicUrl + body)
        .digest('base64'),
    },
    body,
  }),
  vectors: [
    {
      title: 'a test notification',
      secret,
      atMs: 0,
      publicUrl: 'https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9',
      request: {
        headers: { 'x-square-hmacsha256-signature': 'GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4=' },
        body: '{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification","event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f","created_at":"2022-07-13T20:30:59.037339943Z","data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}',
      },
    },
  ],
  samples: [
    {
      title: 'a payment that was updated',
      headers: jsonHeaders,
      body: {
        merchant_id: '6SSW7HV8K2ST5',
        type: 'payment.updated',
        event_id: '6a8f5f28-54a1-4eb0-a98a-3111513fd4fc',
        created_at: '2020-02-06T21:27:34.308Z',
        data: { type: 'payment', id: 'hYy9pRFVxpDsO1FB05SunFWUe9JZY', object: { payment: { customer_id: 'RDX9Z4XTIZR7MRZJUXNY9HUK6I' } } },
      },
      events: [
        {
          eventId: '6a8f5f28-54a1-4eb0-a98a-3111513fd4fc',
          type: 'payment.updated',
          customer: 'RDX9Z4XTIZR7MRZJUXNY9HUK6I',
          occurredAt: '2020-02-06T21:27:34.308Z',
        },
      ],
    },
  ],
};
