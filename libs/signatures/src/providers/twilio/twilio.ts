import { definePreset } from '../../preset.js';

export const twilio = definePreset({
  scheme: {
    header: 'x-twilio-signature',
    algorithm: 'hmac-sha1',
    encoding: 'base64',
    template: '{url}{form}',
    bodyDigestQuery: 'bodySHA256',
  },
  sends: ['form', 'json'],
  // The token is the same on every repeat. A message or call has one id for all its states.
  eventId: [
    'headers."i-twilio-idempotency-token"',
    'body.MessageSid ? body.MessageSid & "/" & body.MessageStatus',
    'body.CallSid ? body.CallSid & "/" & body.CallStatus & "/" & body.SequenceNumber',
  ],
  type: [
    'body.EventType',
    'body.MessageStatus ? "message." & body.MessageStatus',
    'body.CallStatus ? "call." & body.CallStatus',
    'body.SmsStatus',
  ],
  customer: ['body.ConversationSid', 'body.From', 'body.AccountSid'],
  occurredAt: ['body.DateCreated', 'body.Timestamp'],
  // Twilio runs the document that it gets, so it has to be an empty one of TwiML.
  answer: () => ({
    status: 200,
    headers: { 'content-type': 'text/xml; charset=utf-8' },
    body: '<?xml version="1.0" encoding="UTF-8"?><Response/>',
  }),
  retryHours: 0,
  guide: {
    title: 'Twilio',
    url: 'https://www.twilio.com/docs/usage/security#validating-requests',
    source: 'voice',
    secret: '12345',
    spec: { publicUrl: 'https://hooks.example.com/webhooks/acme.voice' },
    notes: `The secret is the account’s auth token. \`publicUrl\` must be the address as it stands at Twilio; the query of a request is added to it. Accepted
requests are answered with an empty TwiML document. Twilio tries again only where the address of the webhook says so (\`#rc=…\`).`,
  },
});
