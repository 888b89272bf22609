import { createSign } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';
import { paypalChains } from './paypal-chains.proof.js';

const webhookId = '1JE4291016473214C';

export const paypalProof: PresetProof = {
  secrets: paypalChains,
  parameters: { webhookId },
  sign({ body, id, atMs, key }) {
    const time = new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z');
    const signer = createSign('RSA-SHA256').update(`${id}|${time}|${webhookId}|${crc32(body)}`);
    return {
      headers: {
        'paypal-transmission-id': id,
        'paypal-transmission-time': time,
        'paypal-transmission-sig': signer.sign(key, 'base64'),
      },
      body,
    };
  },
  samples: [
    {
      title: 'a capture that was completed',
      headers: {
        ...jsonHeaders,
        'paypal-auth-algo': 'SHA256withRSA',
        'paypal-cert-url': 'https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270',
      },
      body: {
        id: 'WH-58D329510W468432D-8HN650336L201105X',
        create_time: '2019-02-14T21:50:07.940Z',
        event_type: 'PAYMENT.CAPTURE.COMPLETED',
        resource: { id: '2GG279541U471931P', payer: { payer_id: 'QYR5Z8XDVJNXQ' } },
      },
      events: [
        {
          eventId: 'WH-58D329510W468432D-8HN650336L201105X',
          type: 'PAYMENT.CAPTURE.COMPLETED',
          customer: 'QYR5Z8XDVJNXQ',
          occurredAt: '2019-02-14T21:50:07.940Z',
        },
      ],
    },
  ],
};
