import { definePreset } from '../../preset.js';
import { exampleChain } from './example-chain.js';

export const paypal = definePreset({
  scheme: {
    kind: 'certificate',
    host: ['messageverificationcerts.paypal.com', 'messageverificationcerts.sandbox.paypal.com'],
    header: 'paypal-transmission-sig',
    encoding: 'base64',
    idHeader: 'paypal-transmission-id',
    timestampHeader: 'paypal-transmission-time',
    timestampUnit: 'rfc3339',
    // PayPal does not say whether a repeat has a new time, so an hour is left for the first of them.
    toleranceSeconds: 3_600,
    template: '{id}|{timestamp}|{parameter.webhookId}|{crc32}',
  },
  sends: ['json'],
  eventId: ['body.id'],
  type: ['body.event_type'],
  customer: [
    'body.resource.payer.payer_id',
    'body.resource.subscriber.payer_id',
    'body.resource.payer.payer_info.payer_id',
    'body.resource.merchant_id',
    'body.resource.id',
  ],
  occurredAt: ['body.create_time'],
  retryHours: 72,
  parameters: { webhookId: 'the id that PayPal shows for the webhook (“Webhook ID”); it is a part of the signed text' },
  guide: {
    title: 'PayPal',
    url: 'https://developer.paypal.com/api/rest/webhooks/rest/',
    secret: exampleChain,
    spec: { parameters: { webhookId: '1JE4291016473214C' } },
    notes: `The secret is PEM: PayPal’s certificate and its chain, as they stand at the address in \`PAYPAL-CERT-URL\` (\`api.paypal.com/v1/notifications/certs/…\`),
followed by the root certificate that you trust for it. Nothing is fetched from an address in a request, so when PayPal changes its certificate, once a year or
so, add the new chain as a second secret. The signature covers the body by its CRC-32 only, which is how PayPal made it.`,
  },
});
