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
  // The object names its customer by id or as an expanded object, or is the customer; else the account speaks for itself (Connect). An event of v2
  // carries a reference to its object (`related_object`) and the account in `context`.
  customer: [
    'body.data.object.customer',
    'body.data.object.customer.id',
    'body.data.object[object = "customer"].id',
    'body.related_object[type = "customer"].id',
    'body.related_object[type = "v2.core.account"].id',
    'body.account',
    'body.context',
  ],
  occurredAt: ['body.created'],
  retryHours: 72,
  guide: {
    title: 'Stripe',
    url: 'https://docs.stripe.com/webhooks#verify-manually',
    secret: 'whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH',
    spec: { lane: { rules: [{ types: ['charge.dispute.*'], lane: 'high' }] } },
    signatureNote: 'the key is the whole `whsec_…` text',
    notes:
      'The secret is the endpoint’s signing secret, with its prefix. Events of connected accounts without a customer belong to the account. Events of\nv2 (thin events) name a customer or account as their related object, or the account as their context.',
  },
});
