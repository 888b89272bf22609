import { expect, test } from 'vitest';
import { document } from './document.js';

const destination = (url: unknown, headers: Record<string, unknown> = {}) =>
  document.parse({
    apiVersion: 'millrace/v1',
    kind: 'Destination',
    metadata: { tenant: 'acme', name: 'crm' },
    spec: { kind: 'http', url, headers, secret: { value: 'whsec_x' } },
  }).spec as { url: unknown; headers: Record<string, unknown> };

test.each([
  'https://user:password@crm.example/',
  'https://user@crm.example/',
  'https://crm.example/in?api_key=k',
  'https://crm.example/in?region=eu&access_token=k',
  'https://crm.example/in?sig=k',
  'https://functions.example/api/in?code=k',
  'https://crm.example/in?x=0123456789abcdef',
  'https://chat.example/services/T0000/B0000/XXXXXXXX24XXXXXXXXXXXXXX',
  'https://chat.example/api/webhooks/1234/aBcDeFgHiJkLmNoPqRsTuVwXyZ',
  'https://flows.example/webhook/3f2504e0-4f89-41d3-9a0c-0305e82c3301',
  'https://flows.example/webhook/%61bcdefghijklmno1',
])('an address with a credential is a secret, although it was written as text: %s', (url) => {
  expect(destination(url).url).toEqual({ value: url });
});

test.each([
  'https://crm.example/',
  'http://127.0.0.1:8080/sample/crm',
  'https://crm.example/api/v2/incoming-events-of-partners?region=eu&version=2026-11-29',
  'https://crm.example/internationalization/incoming',
])('an address without one stays text: %s', (url) => {
  expect(destination(url).url).toBe(url);
});

test.each([
  ['authorization', 'Bearer a'],
  ['Proxy-Authorization', 'x'],
  ['cookie', 'a=b'],
  ['x-api-key', 'k'],
  ['apikey', 'k'],
  ['x-access-token', 't'],
  ['x-signature', 's'],
  ['x-custom', 'Bearer a'],
  ['x-custom', 'Basic dTpw'],
  ['x-custom', 'sk-live-0123456789abcdef'],
])('a header with a credential is a secret, although it was written as text: %s: %s', (name, value) => {
  expect(destination('https://crm.example/', { [name]: value }).headers).toEqual({ [name]: { value } });
});

test.each([
  ['accept', 'application/json'],
  ['x-region', 'eu-central-1'],
  ['x-environment', 'production'],
  ['x-note', 'sent by the pipeline of the customer department'],
])('a header without one stays text: %s: %s', (name, value) => {
  expect(destination('https://crm.example/', { [name]: value }).headers).toEqual({ [name]: value });
});

test('whatever is written as a secret is one', () => {
  expect(destination({ value: 'https://crm.example/' }, { 'x-region': { value: 'eu' } })).toMatchObject({
    url: { value: 'https://crm.example/' },
    headers: { 'x-region': { value: 'eu' } },
  });
});
