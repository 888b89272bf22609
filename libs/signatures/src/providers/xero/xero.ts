import { definePreset } from '../../preset.js';

const taken = { status: 200, body: '' };

export const xero = definePreset({
  scheme: { header: 'x-xero-signature', encoding: 'base64' },
  sends: ['json'],
  split: { arrays: ['events'], keeps: 'element' },
  // An event has no id of its own. It has its resource and its time, so that its bytes identify it.
  eventId: [],
  type: ['body.eventCategory'],
  typeDetail: 'body.eventType',
  customer: ['body.tenantId'],
  occurredAt: ['body.eventDateUtc ? body.eventDateUtc & "Z"'],
  // The "intent to receive": signed requests without events get 200, and those that are signed wrongly 401.
  handshakes: [{ method: 'POST', when: [{ body: 'events', equals: [] }] }],
  answer: () => taken,
  retryHours: 24,
  guide: {
    title: 'Xero',
    url: 'https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/',
    secret: 'Sq4nVbZ1TzX0mWq8kR7yPd==',
    notes: `The secret is the webhooks key. A request holds several events; each becomes an event of its own. Xero wants responses without a body, and its check of the
address (“intent to receive”) is passed by verifying as usual. The customer is the organisation.`,
  },
});
