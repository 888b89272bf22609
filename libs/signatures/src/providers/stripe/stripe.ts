import { definePreset } from '../../preset.js';

/** https://docs.stripe.com/webhooks#verify-manually */
export const stripe = definePreset({
  scheme: {
    header: 'stripe-signature',
    list: { separator: ',', keyValue: '=', signature: 'v1', timestamp: 't' },
    template: '{timestamp}.{body}',
  },
  sends: ['json'],
  eventId: ['body.id'],
  type: ['body.type'],
  // The object names its customer by id or as an expanded object, or is the customer; else the account speaks for itself (Connect).
  customer: ['body.data.object.customer', 'body.data.object.customer.id', 'body.data.object[object = "customer"].id', 'body.account'],
  occurredAt: ['body.created'],
});
