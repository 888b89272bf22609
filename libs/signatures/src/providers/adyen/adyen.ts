import { definePreset } from '../../preset.js';

const item = 'NotificationRequestItem';

export const adyen = definePreset({
  scheme: {
    kind: 'fields',
    key: 'hex',
    each: 'notificationItems',
    signature: `${item}.additionalData.hmacSignature`,
    encoding: 'base64',
    signed: [
      'pspReference',
      'originalReference',
      'merchantAccountCode',
      'merchantReference',
      'amount.value',
      'amount.currency',
      'eventCode',
      'success',
    ].map((field) => `${item}.${field}`),
    separator: ':',
    // It is the merchant's own text.
    freeField: `${item}.merchantReference`,
  },
  sends: ['json'],
  split: { arrays: ['notificationItems'], keeps: 'element' },
  // By Adyen's advice: a repeat has the same event code and reference; the success of an event can change.
  eventId: [
    'body.NotificationRequestItem.pspReference ? body.NotificationRequestItem.eventCode & "/" & body.NotificationRequestItem.pspReference & "/" & body.NotificationRequestItem.success',
  ],
  type: ['body.NotificationRequestItem.eventCode'],
  customer: [
    'body.NotificationRequestItem.additionalData.shopperReference',
    'body.NotificationRequestItem.additionalData."recurring.shopperReference"',
    'body.NotificationRequestItem.merchantReference',
    'body.NotificationRequestItem.merchantAccountCode',
  ],
  occurredAt: ['body.NotificationRequestItem.eventDate'],
  retryHours: 168,
  guide: {
    title: 'Adyen',
    url: 'https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures/',
    secret: '44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056',
    notes: `For standard (payment) webhooks as JSON; the secret is the webhook’s HMAC key. The signature covers eight fields of each item, and nothing else of it. A
reference that contains a colon is accepted in \`merchantReference\` only. Each item becomes an event of its own. Platform webhooks, whose signature stands in the
header \`HmacSignature\`, are \`adyen-platform\`.`,
  },
});
