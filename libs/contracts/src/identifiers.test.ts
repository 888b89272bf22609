import { expect, test } from 'vitest';
import { deliveryId, eventId } from './identifiers.js';

test('the same provider id at the same source of the same tenant is the same event', () => {
  const id = eventId('acme', 'stripe', { providerEventId: 'evt_1' });
  expect(id).toMatch(/^evt_[0-9a-hjkmnp-tv-z]{32}$/);
  expect(eventId('acme', 'stripe', { providerEventId: 'evt_1' })).toBe(id);
});

test('another tenant, source or kind of identity is another event', () => {
  const ids = [
    eventId('acme', 'stripe', { providerEventId: 'x' }),
    eventId('acme', 'github', { providerEventId: 'x' }),
    eventId('beta', 'stripe', { providerEventId: 'x' }),
    eventId('acme', 'stripe', { body: Buffer.from('x') }),
  ];
  expect(new Set(ids).size).toBe(4);
});

test('moving a character between neighbouring parts changes the id', () => {
  expect(deliveryId('a', 'bc', 'd', 'e', 'f', 0)).not.toBe(deliveryId('ab', 'c', 'd', 'e', 'f', 0));
});

test('an id is the same in every version of Millrace: what was received before an upgrade is known after it', () => {
  expect(eventId('bench', 'github', { providerEventId: 'x' })).toBe('evt_5ezrsw5m37a1eeftfwg5f0eq2rt0hb76');
  expect(eventId('acme', 'github', { body: Buffer.from('{"text":"é🎉"}') })).toBe('evt_3bjwa35zwn70x58r15r04v65fh56t5m3');
});
