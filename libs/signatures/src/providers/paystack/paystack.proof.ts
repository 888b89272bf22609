import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const paystackProof: PresetProof = {
  secrets: [{ secret: 'sk_test_4f0a9b8c7d6e5f4a3b2c1d0e' }, { secret: 'sk_test_another' }],
  sign: ({ body, key }) => ({ headers: { 'x-paystack-signature': createHmac('sha512', key).update(body).digest('hex') }, body }),
  samples: [
    {
      title: 'a charge that succeeded',
      headers: jsonHeaders,
      body: {
        event: 'charge.success',
        data: { id: 302_961, paid_at: '2016-09-30T21:10:19.000Z', customer: { customer_code: 'CUS_hdhye17yj8qd2tx' } },
      },
      events: [{ eventId: null, type: 'charge.success', customer: 'CUS_hdhye17yj8qd2tx', occurredAt: '2016-09-30T21:10:19.000Z' }],
    },
  ],
};
