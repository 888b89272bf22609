import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const stripeProof: PresetProof = {
  secrets: [{ secret: 'whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH' }, { secret: 'whsec_new' }],
  sign({ body, atMs, key }) {
    const timestamp = Math.floor(atMs / 1_000);
    const signature = createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex');
    return { headers: { 'stripe-signature': `t=${timestamp},v1=${signature}` }, body };
  },
  samples: [
    {
      title: 'an invoice that was paid',
      headers: jsonHeaders,
      body: {
        id: 'evt_1NG8Du2eZvKYlo2CUI79vXWy',
        object: 'event',
        created: 1_686_089_970,
        data: { object: { id: 'in_1', object: 'invoice', customer: 'cus_9s6XKzkNRiz8i3' } },
        type: 'invoice.paid',
      },
      events: [
        {
          eventId: 'evt_1NG8Du2eZvKYlo2CUI79vXWy',
          type: 'invoice.paid',
          customer: 'cus_9s6XKzkNRiz8i3',
          occurredAt: '2023-06-06T22:19:30.000Z',
        },
      ],
    },
  ],
};
