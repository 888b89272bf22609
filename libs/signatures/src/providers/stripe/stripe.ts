import { definePreset } from '../../preset.js';

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
  guide: {
    title: 'Stripe',
    url: 'https://docs.stripe.com/webhooks#verify-manually',
    secret: 'whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH',
    spec: { lane: { rules: [{ types: ['charge.dispute.*'], lane: 'high' }] } },
    signatureNote: 'the key is the whole `whsec_…` text',
    notes:
      'The secret is the endpoint’s signing secret, with its prefix. Events of connected accounts without a customer belong to the account.',
  },
});
