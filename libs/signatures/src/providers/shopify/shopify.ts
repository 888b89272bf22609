import { definePreset } from '../../preset.js';

export const shopify = definePreset({
  scheme: { header: 'x-shopify-hmac-sha256', encoding: 'base64' },
  aliases: { 'x-shopify-hmac-sha256': 'shopify-hmac-sha256' },
  sends: ['json'],
  eventId: ['headers."x-shopify-webhook-id"', 'headers."shopify-webhook-id"'],
  type: ['headers."x-shopify-topic"', 'headers."shopify-topic"'],
  // The shopper: of an order or a checkout, or the record itself under `customers/…`; else the shop.
  customer: [
    'body.customer.id',
    '$substringBefore([headers."x-shopify-topic", headers."shopify-topic"][0], "/") = "customers" ? body.id',
    'headers."x-shopify-shop-domain"',
    'headers."shopify-shop-domain"',
  ],
  occurredAt: ['headers."x-shopify-triggered-at"', 'headers."shopify-triggered-at"'],
  retryHours: 4,
  guide: {
    title: 'Shopify',
    url: 'https://shopify.dev/docs/apps/build/webhooks/subscribe/https',
    secret: 'hush',
    signatureNote: 'the key is the app’s client secret',
    notes: `Types are topics: \`orders/paid\`. The customer is the shopper, so one busy shop is still worked on in parallel; what names no shopper belongs to
the shop. For an app in many shops where the merchant is your customer: \`customer: headers."x-shopify-shop-domain"\`.`,
  },
});
