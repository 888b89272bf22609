import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const typeformProof: PresetProof = {
  secrets: [{ secret: 'a secret of the form' }, { secret: 'another' }],
  sign: ({ body, key }) => ({
    headers: { 'typeform-signature': `sha256=${createHmac('sha256', key).update(body).digest('base64')}` },
    body,
  }),
  samples: [
    {
      title: 'a form that was answered',
      headers: jsonHeaders,
      body: {
        event_id: 'LtWXD3crgy',
        event_type: 'form_response',
        form_response: {
          form_id: 'lT4Z3j',
          token: 'a3a12ec67a1365927098a606107fac15',
          submitted_at: '2018-01-18T18:17:02Z',
          hidden: { user_id: 'abc123456' },
          answers: [],
        },
      },
      events: [{ eventId: 'LtWXD3crgy', type: 'form_response', customer: 'abc123456', occurredAt: '2018-01-18T18:17:02.000Z' }],
    },
  ],
};
