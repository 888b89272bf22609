import { Stripe } from 'stripe';
import { expect, test } from 'vitest';
import { createVerifier } from '../../create-verifier.js';
import { asReceived } from '../../tampering.js';
import { stripe } from './stripe.js';

const sdk = new Stripe('sk_test_unused');
const secret = 'whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH';
const nowMs = 1_750_000_000_000;
const body = '{"id":"evt_1","object":"event","type":"invoice.paid"}';
const signed = (options: { secret?: string; timestamp?: number; scheme?: string } = {}) => ({
  headers: {
    'Stripe-Signature': sdk.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: nowMs / 1_000, ...options }),
  },
  body,
});
const resolved = createVerifier(stripe.scheme, [secret]);

test('while Stripe rolls a secret it signs with both, and either verifies', () => {
  const [first, second] = [signed({ secret: 'whsec_new' }), signed()].map((one) => one.headers['Stripe-Signature']);
  const both = { headers: { 'Stripe-Signature': `${first},${second!.split(',')[1]}` }, body };
  for (const active of ['whsec_new', secret]) {
    expect(() => createVerifier(stripe.scheme, [active]).verify(asReceived(both), nowMs)).not.toThrow();
  }
});

test('the fake v0 scheme of test events verifies nothing', () => {
  expect(() => resolved.verify(asReceived(signed({ scheme: 'v0' })), nowMs)).toThrow('has no entry v1');
});
