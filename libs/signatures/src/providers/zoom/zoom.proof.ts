import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = 'DNiWfQ0xSkOqLmTnA7bVpw';
const encryptedToken = createHmac('sha256', secret).update('qgg8vlvZRS6UYooatFL8Aw').digest('hex');

export const zoomProof: PresetProof = {
  secrets: [{ secret }, { secret: 'another' }],
  sign({ body, atMs, key }) {
    const timestamp = String(Math.floor(atMs / 1_000));
    const signature = createHmac('sha256', key).update(`v0:${timestamp}:${body}`).digest('hex');
    return { headers: { 'x-zm-request-timestamp': timestamp, 'x-zm-signature': `v0=${signature}` }, body };
  },
  samples: [
    {
      title: 'a meeting that began',
      headers: jsonHeaders,
      body: {
        event: 'meeting.started',
        event_ts: 1_626_230_691_572,
        payload: { account_id: 'AAAAAABBBB', object: { id: '1234567890', host_id: 'x1yCzABCDEfg23HiJKl4mN' } },
      },
      events: [{ eventId: null, type: 'meeting.started', customer: 'x1yCzABCDEfg23HiJKl4mN', occurredAt: '2021-07-14T02:44:51.572Z' }],
    },
    {
      title: 'an endpoint.url_validation',
      headers: jsonHeaders,
      body: { payload: { plainToken: 'qgg8vlvZRS6UYooatFL8Aw' }, event_ts: 1_654_503_849_680, event: 'endpoint.url_validation' },
      handshake: { status: 200, body: { plainToken: 'qgg8vlvZRS6UYooatFL8Aw', encryptedToken } },
    },
  ],
};
