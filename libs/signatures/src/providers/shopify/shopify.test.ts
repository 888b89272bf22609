import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { createVerifier } from '../../create-verifier.js';
import { acceptedTampering, asReceived } from '../../tampering.js';
import { shopify } from './shopify.js';

const secret = 'hush';
const body = '{"id":820982911946154508,"customer":{"id":115310627314723954}}';
const signature = createHmac('sha256', secret).update(body).digest('base64');
const resolved = createVerifier(shopify.scheme, [secret], shopify);
const check = (headers: Record<string, string>) => () => resolved.verify(asReceived({ headers, body }), 0);

test('both spellings of the header are read', () => {
  expect(check({ 'X-Shopify-Hmac-SHA256': signature })).not.toThrow();
  expect(check({ 'Shopify-Hmac-SHA256': signature })).not.toThrow();
  expect(check({ 'X-Shopify-Hmac-SHA256': signature, 'Shopify-Hmac-SHA256': signature })).not.toThrow();
});

test('two spellings that differ are refused, even where one of them is right', () => {
  const wrong = createHmac('sha256', 'other').update(body).digest('base64');
  expect(check({ 'X-Shopify-Hmac-SHA256': signature, 'Shopify-Hmac-SHA256': wrong })).toThrow('differ');
});

test('with any byte flipped it is refused', () => {
  expect(acceptedTampering(resolved, { headers: { 'X-Shopify-Hmac-SHA256': signature }, body }, 0)).toEqual([]);
});
