import { createHash, createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const mailgunProof: PresetProof = {
  secrets: [{ secret: 'key-8f2a0c5d1e7b4a3f9c6d2e8b7a1f0c5d' }, { secret: 'key-another' }],
  sign({ body, atMs, key }) {
    const timestamp = String(Math.floor(atMs / 1_000));
    const token = createHash('sha256')
      .update(key + body)
      .digest('hex'); // another one for each request, as Mailgun’s is
    const signature = createHmac('sha256', key)
      .update(timestamp + token)
      .digest('hex');
    return { headers: {}, body: JSON.stringify({ signature: { token, timestamp, signature }, ...JSON.parse(body) }) };
  },
  samples: [
    {
      title: 'a mail that was delivered',
      headers: jsonHeaders,
      body: {
        'event-data': { event: 'delivered', id: 'CPgfbmQMTCKtHW6uIWtuVe', timestamp: 1_521_472_262.908181, recipient: 'alice@example.com' },
      },
      events: [
        {
          eventId: 'CPgfbmQMTCKtHW6uIWtuVe',
          type: 'delivered',
          customer: 'alice@example.com',
          occurredAt: '2018-03-19T15:11:02.908Z',
        },
      ],
    },
  ],
};
