import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const message = {
  type: 'message',
  webhookEventId: '01FZ74A0TDDPYRVKNK77XKC3ZR',
  timestamp: 1_692_251_666_727,
  source: { type: 'group', groupId: 'Ca56f94637c', userId: 'U4af4980629' },
};
const unfollow = {
  type: 'unfollow',
  webhookEventId: '01FZ74ASS536FW97EX38NKCZQK',
  timestamp: 1_692_251_666_728,
  source: { userId: 'U8622f62b91' },
};

export const lineProof: PresetProof = {
  secrets: [{ secret: '8c570fa6dd201bb328f1c1eac23a96d8' }, { secret: 'another of the channel' }],
  sign: ({ body, key }) => ({ headers: { 'x-line-signature': createHmac('sha256', key).update(body).digest('base64') }, body }),
  samples: [
    {
      title: 'two events of a channel',
      headers: jsonHeaders,
      body: { destination: 'xxxxxxxxxx', events: [message, unfollow] },
      events: [
        {
          eventId: '01FZ74A0TDDPYRVKNK77XKC3ZR',
          type: 'message',
          customer: 'U4af4980629',
          occurredAt: '2023-08-17T05:54:26.727Z',
          body: message,
        },
        {
          eventId: '01FZ74ASS536FW97EX38NKCZQK',
          type: 'unfollow',
          customer: 'U8622f62b91',
          occurredAt: '2023-08-17T05:54:26.728Z',
          body: unfollow,
        },
      ],
    },
    {
      title: 'the check of the address',
      headers: jsonHeaders,
      body: { destination: 'xxxxxxxxxx', events: [] },
      handshake: { status: 200, body: {} },
    },
  ],
};
