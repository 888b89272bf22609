import { definePreset } from '../../preset.js';

export const woocommerce = definePreset({
  scheme: { header: 'x-wc-webhook-signature', encoding: 'base64' },
  sends: ['json'],
  eventId: ['headers."x-wc-webhook-delivery-id"'],
  type: ['headers."x-wc-webhook-topic"'],
  // A guest's order has the customer 0, and belongs to the mail address.
  customer: ['body.customer_id[$ != 0]', 'body.billing.email', 'headers."x-wc-webhook-source"'],
  occurredAt: ['body.date_modified_gmt ? body.date_modified_gmt & "Z"'],
  unsignedPost: ({ rawBody }) => (/^webhook_id=\d{1,19}$/.test(rawBody.toString('latin1')) ? { status: 200, body: '' } : undefined),
  retryHours: 0,
  guide: {
    title: 'WooCommerce',
    url: 'https://woocommerce.com/document/webhooks/',
    secret: 'p}Yj)|3q4k&cKm~d',
    notes: `The customer is the shop’s customer; a guest is known by the mail address of the bill; all else belongs to the shop. When a webhook is saved,
WooCommerce sends its number unsigned (\`webhook_id=…\`) and wants a 2xx; it is answered and is no event. A webhook that fails five times in a row is switched off.`,
  },
});
