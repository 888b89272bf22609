import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const publicUrl = 'https://hooks.example.com/webhooks/acme.hubspot';
const contact = {
  eventId: 1,
  subscriptionId: 12_345,
  portalId: 62_515,
  occurredAt: 1_564_113_600_000,
  subscriptionType: 'contact.creation',
  attemptNumber: 0,
  objectId: 123,
  changeSource: 'CRM',
  changeFlag: 'NEW',
  appId: 54_321,
};
const deal = { ...contact, eventId: 2, subscriptionType: 'deal.propertyChange', objectId: 456, propertyName: 'amount' };

export const hubspotProof: PresetProof = {
  secrets: [{ secret: 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy' }, { secret: 'another of the app' }],
  publicUrl,
  sign({ body, atMs, key }) {
    const signature = createHmac('sha256', key).update(`POST${publicUrl}?a=b:c${body}${atMs}`).digest('base64');
    return {
      target: '/webhooks/acme.hubspot?a=b%3Ac',
      headers: { 'x-hubspot-request-timestamp': String(atMs), 'x-hubspot-signature-v3': signature },
      body,
    };
  },
  samples: [
    {
      title: 'a batch of two changes',
      headers: jsonHeaders,
      body: [contact, deal],
      events: [
        {
          eventId: '62515/12345/123/1564113600000/1',
          type: 'contact.creation',
          customer: '123',
          occurredAt: '2019-07-26T04:00:00.000Z',
          body: contact,
        },
        {
          eventId: '62515/12345/456/1564113600000/2',
          type: 'deal.propertyChange',
          customer: '456',
          occurredAt: '2019-07-26T04:00:00.000Z',
          body: deal,
        },
      ],
    },
    { title: 'an empty batch', headers: jsonHeaders, body: [], events: [] },
  ],
};
