import { createHash, createHmac } from 'node:crypto';
import type { PresetProof } from '../../proof.js';

const publicUrl = 'https://mycompany.com/myapp.php';
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const empty = {
  status: 200,
  headers: { 'content-type': 'text/xml; charset=utf-8' },
  body: '<?xml version="1.0" encoding="UTF-8"?><Response/>',
};

/** Each name with its value, by name. */
function sortedFields(body: string): string {
  const fields = [...new URLSearchParams(body)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return fields.map(([name, value]) => name + value).join('');
}

export const twilioProof: PresetProof = {
  secrets: [{ secret: '12345' }, { secret: '67890' }],
  publicUrl,
  sign({ body, key }) {
    const isJson = body.startsWith('{');
    const query = isJson ? `bodySHA256=${createHash('sha256').update(body).digest('hex')}` : 'foo=1&bar=2';
    const text = `${publicUrl}?${query}${isJson ? '' : sortedFields(body)}`;
    const signature = createHmac('sha1', key).update(text).digest('base64');
    return { target: `/webhooks/acme.voice?${query}`, headers: { 'x-twilio-signature': signature }, body };
  },
  /** The digits of an escape are hexadecimal, so `%2B` and `%2b` are the same field. */
  mayAlter: (what, { body }) => {
    const [, at] = /^byte (\d+) of the body, bit 32$/.exec(what) ?? [];
    return at !== undefined && /%[0-9A-F]?$/.test(String(body).slice(Math.max(0, Number(at) - 2), Number(at)));
  },
  vectors: [
    {
      title: 'Twilio’s documentation',
      secret: '12345',
      atMs: 0,
      request: {
        target: '/webhooks/acme.voice?foo=1&bar=2',
        headers: { ...form, 'X-Twilio-Signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=' },
        body: 'CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212',
      },
    },
  ],
  samples: [
    {
      title: 'a message that was delivered',
      headers: { ...form, 'i-twilio-idempotency-token': 'f1a2b3c4-0000-4000-8000-000000000000' },
      body: 'AccountSid=AC1&From=%2B14158675309&MessageSid=SM1&MessageStatus=delivered&To=%2B18005551212',
      events: [{ eventId: 'f1a2b3c4-0000-4000-8000-000000000000', type: 'message.delivered', customer: '+14158675309', occurredAt: null }],
      answer: empty,
    },
    {
      title: 'a call that rings, without a token',
      headers: form,
      body: 'AccountSid=AC1&CallSid=CA1&CallStatus=ringing&From=%2B14158675309&SequenceNumber=0',
      events: [{ eventId: 'CA1/ringing/0', type: 'call.ringing', customer: '+14158675309', occurredAt: null }],
      answer: empty,
    },
    {
      title: 'an event of a conversation as JSON',
      headers: { 'content-type': 'application/json', 'i-twilio-idempotency-token': 't-2' },
      body: { EventType: 'onMessageAdded', ConversationSid: 'CH1', DateCreated: '2026-01-31T12:00:00.000Z' },
      events: [{ eventId: 't-2', type: 'onMessageAdded', customer: 'CH1', occurredAt: '2026-01-31T12:00:00.000Z' }],
      answer: empty,
    },
  ],
};
