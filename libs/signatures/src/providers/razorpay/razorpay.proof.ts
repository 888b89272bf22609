import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const razorpayProof: PresetProof = {
  secrets: [{ secret: 'a secret of the webhook' }, { secret: 'another' }],
  sign: ({ body, key }) => ({ headers: { 'x-razorpay-signature': createHmac('sha256', key).update(body).digest('hex') }, body }),
  samples: [
    {
      title: 'a payment that was captured',
      headers: { ...jsonHeaders, 'x-razorpay-event-id': 'DESlLckIVRkHWj' },
      body: {
        entity: 'event',
        account_id: 'acc_BFQ7uQEaa7j2z7',
        event: 'payment.captured',
        payload: { payment: { entity: { id: 'pay_DESlfW9H8K9uqM', customer_id: 'cust_DESlLckIVRkHWj' } } },
        created_at: 1_567_674_606,
      },
      events: [
        {
          eventId: 'DESlLckIVRkHWj',
          type: 'payment.captured',
          customer: 'cust_DESlLckIVRkHWj',
          occurredAt: '2019-09-05T09:10:06.000Z',
        },
      ],
    },
  ],
};
