import type { PresetProof } from '../../proof.js';

const xml = { 'content-type': 'text/xml; charset=utf-8' };
const notification = (id: string, record: string) =>
  `<Notification><Id>${id}</Id><sObject xsi:type="sf:Opportunity" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">${record}</sObject></Notification>`;
const message = (organization: string, ...notifications: string[]) =>
  '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>' +
  `<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>${organization}</OrganizationId><ActionId>04k5e000000CaRkAAK</ActionId>` +
  `<SessionId>00D5e000000KQ2e!secret</SessionId><EnterpriseUrl>https://acme.my.salesforce.com/services/Soap/c/60.0</EnterpriseUrl>${notifications.join('')}` +
  '</notifications></soapenv:Body></soapenv:Envelope>';
const acknowledged = {
  status: 200,
  headers: { 'content-type': 'text/xml; charset=utf-8' },
  body: '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>',
};
const eventData = (id: string, record: object) => ({
  Envelope: {
    Body: {
      notifications: {
        OrganizationId: '00D5e000000KQ2eEAG',
        ActionId: '04k5e000000CaRkAAK',
        EnterpriseUrl: 'https://acme.my.salesforce.com/services/Soap/c/60.0',
        Notification: { Id: id, sObject: { '@type': 'sf:Opportunity', ...record } },
      },
    },
  },
});

export const salesforceProof: PresetProof = {
  secrets: [{ secret: 'f3b1c9d07a6e4852b0c4' }, { secret: 'another of the address' }],
  parameters: { organizationId: '00D5e000000KQ2eEAG' },
  sign: ({ body, key }) => ({ target: `/webhooks/acme.partner?token=${encodeURIComponent(key)}`, headers: {}, body }),
  mayAlter: (what) => what.includes('of the body'),
  samples: [
    {
      title: 'a message with two notifications',
      headers: xml,
      body: message(
        '00D5e000000KQ2eEAG',
        notification(
          '04l5e00000Gx7QzAAJ',
          '<sf:Id>0065e00000ZkM3hAAF</sf:Id><sf:AccountId>0015e00000ZkM3hAAF</sf:AccountId><sf:Name>A &amp; B</sf:Name>',
        ),
        notification(
          '04l5e00000Gx7R0AAJ',
          '<sf:Id>0065e00000ZkM3iAAF</sf:Id><sf:SystemModstamp>2026-01-31T12:00:00.000Z</sf:SystemModstamp>',
        ),
      ),
      events: [
        {
          eventId: '04l5e00000Gx7QzAAJ',
          type: 'sf:Opportunity',
          customer: '0015e00000ZkM3hAAF',
          occurredAt: null,
          body: eventData('04l5e00000Gx7QzAAJ', { Id: '0065e00000ZkM3hAAF', AccountId: '0015e00000ZkM3hAAF', Name: 'A & B' }),
        },
        {
          eventId: '04l5e00000Gx7R0AAJ',
          type: 'sf:Opportunity',
          customer: '0065e00000ZkM3iAAF',
          occurredAt: '2026-01-31T12:00:00.000Z',
          body: eventData('04l5e00000Gx7R0AAJ', { Id: '0065e00000ZkM3iAAF', SystemModstamp: '2026-01-31T12:00:00.000Z' }),
        },
      ],
      answer: acknowledged,
    },
    {
      title: 'a message with one notification',
      headers: xml,
      body: message('00D5e000000KQ2eEAG', notification('04l5e00000Gx7R1AAJ', '<sf:Id>0065e00000ZkM3hAAF</sf:Id>')),
      events: [{ eventId: '04l5e00000Gx7R1AAJ', type: 'sf:Opportunity', customer: '0065e00000ZkM3hAAF', occurredAt: null }],
      answer: acknowledged,
    },
  ],
};
