import { createPrivateKey, sign } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const delivered = {
  email: 'example@test.com',
  timestamp: 1_513_299_569,
  event: 'delivered',
  sg_event_id: 'ZGVsaXZlcmVkLTA',
  sg_message_id: '14c5d75ce93',
};
const open = { ...delivered, event: 'open', sg_event_id: 'b3Blbi0w' };

export const sendgridProof: PresetProof = {
  secrets: [
    {
      secret:
        'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEg+VvF9Cd4iNeGGMsTbVtPY0Z5ODdeeUIWJ0DxWXMEyhgOCzOV7q1HhheKP6u2lhRfzDw7SswxfRiU18OwNeQ4Q==',
      key: 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvkA9uzhlZ2/0WCk8d8PzrbxGUXYpCHBvrUyrnCfjmemhRANCAASD5W8X0J3iI14YYyxNtW09jRnk4N155QhYnQPFZcwTKGA4LM5XurUeGF4o/q7aWFF/MPDtKzDF9GJTXw7A15Dh',
    },
    {
      secret:
        'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENfZsBLL64aaYjYfbbNopNIlwXqqXs83tY4vFX+xaQmK0e3IcNJDNm4EStATvm3Vs/UvAnZRfnVwWliCzQjeUuA==',
      key: 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJzImiE/fwtmnN31S6Q8/+WL3gZRyurEtRlCPUM/oobOhRANCAAQ19mwEsvrhppiNh9ts2ik0iXBeqpezze1ji8Vf7FpCYrR7chw0kM2bgRK0BO+bdWz9S8CdlF+dXBaWILNCN5S4',
    },
  ],
  sign({ body, atMs, key }) {
    const timestamp = String(Math.floor(atMs / 1_000));
    const privateKey = createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' });
    const signature = sign('sha256', Buffer.from(timestamp + body), privateKey).toString('base64');
    return {
      headers: { 'x-twilio-email-event-webhook-timestamp': timestamp, 'x-twilio-email-event-webhook-signature': signature },
      body,
    };
  },
  samples: [
    {
      title: 'a batch of two events of a mail',
      headers: jsonHeaders,
      body: `${JSON.stringify([delivered, open])}\r\n`,
      events: [
        {
          eventId: 'ZGVsaXZlcmVkLTA',
          type: 'delivered',
          customer: 'example@test.com',
          occurredAt: '2017-12-15T00:59:29.000Z',
          body: delivered,
        },
        { eventId: 'b3Blbi0w', type: 'open', customer: 'example@test.com', occurredAt: '2017-12-15T00:59:29.000Z', body: open },
      ],
    },
  ],
};
