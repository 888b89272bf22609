import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

interface Item {
  pspReference: string;
  originalReference?: string;
  merchantAccountCode: string;
  merchantReference: string;
  amount: { value: number; currency: string };
  eventCode: string;
  success: string;
}

const authorisation = {
  pspReference: '7914073381342284',
  merchantAccountCode: 'TestMerchant',
  merchantReference: 'TestPayment-1407325143704:1',
  amount: { value: 1_130, currency: 'EUR' },
  eventCode: 'AUTHORISATION',
  eventDate: '2019-05-06T17:15:34.121+02:00',
  success: 'true',
  additionalData: { shopperReference: 'shopper-7' },
};
const capture = { ...authorisation, eventCode: 'CAPTURE', originalReference: '7914073381342284', pspReference: '8914073381342284' };

function signatureOf(item: Item, key: string): string {
  const { pspReference, originalReference, merchantAccountCode, merchantReference, amount, eventCode, success } = item;
  const text = [
    pspReference,
    originalReference,
    merchantAccountCode,
    merchantReference,
    amount.value,
    amount.currency,
    eventCode,
    success,
  ].join(':');
  return createHmac('sha256', Buffer.from(key, 'hex')).update(text).digest('base64');
}

export const adyenProof: PresetProof = {
  secrets: [
    { secret: '44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056' },
    { secret: '00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF' },
  ],
  sign({ body, key }) {
    const { live, notificationItems } = JSON.parse(body) as { live: string; notificationItems: { NotificationRequestItem: Item }[] };
    const signed = notificationItems.map(({ NotificationRequestItem: item }) => {
      const additionalData = { ...(item as { additionalData?: object }).additionalData, hmacSignature: signatureOf(item, key) };
      return { NotificationRequestItem: { ...item, additionalData } };
    });
    return { headers: {}, body: JSON.stringify({ live, notificationItems: signed }) };
  },
  samples: [
    {
      title: 'an authorisation and its capture',
      headers: jsonHeaders,
      body: {
        live: 'false',
        notificationItems: [{ NotificationRequestItem: authorisation }, { NotificationRequestItem: capture }],
      },
      events: [
        {
          eventId: 'AUTHORISATION/7914073381342284/true',
          type: 'AUTHORISATION',
          customer: 'shopper-7',
          occurredAt: '2019-05-06T15:15:34.121Z',
        },
        { eventId: 'CAPTURE/8914073381342284/true', type: 'CAPTURE', customer: 'shopper-7', occurredAt: '2019-05-06T15:15:34.121Z' },
      ],
    },
  ],
};
