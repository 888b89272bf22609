import { definePreset } from '../../preset.js';

const notifications = 'Envelope.Body.notifications';

const acknowledgement =
  '<?xml version="1.0" encoding="UTF-8"?>' +
  '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>' +
  '<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>' +
  '</soapenv:Body></soapenv:Envelope>';

export const salesforce = definePreset({
  // Salesforce signs nothing: the address is the secret, and the organization must be the one of the source.
  scheme: { kind: 'token', query: 'token' },
  sends: ['xml'],
  split: { arrays: [`${notifications}.Notification`], keeps: 'unwrapped', omits: ['SessionId'] },
  owner: { path: `${notifications}.OrganizationId`, parameter: 'organizationId' },
  eventId: [`body.${notifications}.Notification.Id`],
  type: [`body.${notifications}.Notification.sObject."@type"`],
  customer: [
    `body.${notifications}.Notification.sObject.AccountId`,
    `body.${notifications}.Notification.sObject.Id`,
    `body.${notifications}.OrganizationId`,
  ],
  occurredAt: [`body.${notifications}.Notification.sObject.SystemModstamp`, `body.${notifications}.Notification.sObject.LastModifiedDate`],
  answer: () => ({ status: 200, headers: { 'content-type': 'text/xml; charset=utf-8' }, body: acknowledgement }),
  retryHours: 24,
  parameters: { organizationId: 'the id of the Salesforce organization, with its 18 characters (00D…); messages of any other are refused' },
  guide: {
    title: 'Salesforce, outbound messages',
    url: 'https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_om_outboundmessaging_setting_up.htm',
    secret: 'f3b1c9d07a6e4852b0c4',
    spec: { parameters: { organizationId: '00D5e000000KQ2eEAG' } },
    notes: `Salesforce signs nothing, so the secret stands in the address: enter \`…/webhooks/acme.salesforce?token=…\` as the endpoint URL of the outbound message. The
XML becomes JSON by its names without prefixes; a document type (DTD) and entities are refused. A message holds up to 100 notifications; each becomes an event
that looks like a message with this one alone, without the session id that Salesforce can send. They are acknowledged with \`<Ack>true</Ack>\` once all are on
the log. Salesforce sends them in any order, with the latest data of the record only. The customer is the account, else the record. To check the client
certificate of Salesforce besides, let the proxy do it.`,
  },
});
