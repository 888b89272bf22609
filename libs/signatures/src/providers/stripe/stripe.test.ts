import { Stripe } from 'stripe';
import { expect, test } from 'vitest';
import { resolveScheme } from '../../scheme.js';
import { acceptedTampering, asReceived } from '../../tampering.js';
import { verify } from '../../verify.js';
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
const resolved = resolveScheme(stripe.scheme, [secret]);

test('what Stripe’s own SDK signs is accepted', () => {
  expect(() => verify(resolved, asReceived(signed()), nowMs)).not.toThrow();
});

test('with any byte flipped it is refused', () => {
  expect(acceptedTampering(resolved, signed(), nowMs)).toEqual([]);
});

test('while Stripe rolls a secret it signs with both, and either verifies', () => {
  const [first, second] = [signed({ secret: 'whsec_new' }), signed()].map((one) => one.headers['Stripe-Signature']);
  const both = { headers: { 'Stripe-Signature': `${first},${second!.split(',')[1]}` }, body };
  for (const active of ['whsec_new', secret]) {
    expect(() => verify(resolveScheme(stripe.scheme, [active]), asReceived(both), nowMs)).not.toThrow();
  }
});

test('the fake v0 scheme of test events verifies nothing', () => {
  expect(() => verify(resolved, asReceived(signed({ scheme: 'v0' })), nowMs)).toThrow('has no entry v1');
});

test('five minutes are tolerated', () => {
  const old = asReceived(signed({ timestamp: nowMs / 1_000 - 301 }));
  expect(() => verify(resolved, old, nowMs)).toThrow('signed 301 s ago');
});
