import { definePreset } from '../../preset.js';

export const adyenPlatform = definePreset({
  scheme: { header: 'hmacsignature', encoding: 'base64', key: 'hex' },
  sends: ['json'],
  // The body has no id of its own, and its bytes are the same on every repeat.
  eventId: [],
  type: ['body.type'],
  customer: ['body.data.accountHolder.id', 'body.data.balanceAccount.id', 'body.data.balanceAccountId', 'body.data.id'],
  occurredAt: ['body.timestamp', 'body.data.creationDate'],
  retryHours: 168,
  guide: {
    title: 'Adyen, platform webhooks',
    url: 'https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures/',
    secret: '44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056',
    notes: `For webhooks of Adyen’s platforms, banking and management, whose signature covers the whole body. The secret is the webhook’s HMAC key. The customer is the
account holder.`,
  },
});
