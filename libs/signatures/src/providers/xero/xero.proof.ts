import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const contact = {
  resourceId: '717f2bfc-c6d4-41fd-b238-3f2f0c0cf777',
  eventDateUtc: '2017-06-21T01:15:39.902',
  eventType: 'UPDATE',
  eventCategory: 'CONTACT',
  tenantId: 'c2cc9b6e-9458-4c7d-93cc-f02b81b0594f',
};
const invoice = { ...contact, resourceId: '21a4ff63-4a1e-4f5a-9d0f-2b7d0e5a1b11', eventType: 'CREATE', eventCategory: 'INVOICE' };

export const xeroProof: PresetProof = {
  secrets: [{ secret: 'Sq4nVbZ1TzX0mWq8kR7yPd==' }, { secret: 'another key' }],
  sign: ({ body, key }) => ({ headers: { 'x-xero-signature': createHmac('sha256', key).update(body).digest('base64') }, body }),
  samples: [
    {
      title: 'two events of an organisation',
      headers: jsonHeaders,
      body: { events: [contact, invoice], firstEventSequence: 1, lastEventSequence: 2, entropy: 'S0m3r4Nd0mt3xt' },
      events: [
        { eventId: null, type: 'CONTACT.UPDATE', customer: contact.tenantId, occurredAt: '2017-06-21T01:15:39.902Z', body: contact },
        { eventId: null, type: 'INVOICE.CREATE', customer: contact.tenantId, occurredAt: '2017-06-21T01:15:39.902Z', body: invoice },
      ],
      answer: { status: 200, body: '' },
    },
    {
      title: 'the intent to receive',
      headers: jsonHeaders,
      body: { events: [], firstEventSequence: 0, lastEventSequence: 0, entropy: 'S0m3r4Nd0mt3xt' },
      handshake: { status: 200, body: '' },
    },
  ],
};
