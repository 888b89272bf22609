import { expect, test } from 'vitest';
import { EventFieldReader, instant, usableText } from './event-fields.js';

const nothing = { eventId: [], type: [], customer: [], occurredAt: [] };
const read = (extraction: object, body: unknown, headers = {}) =>
  new EventFieldReader({ ...nothing, ...extraction }).read({ body: body as never, headers });

test('of several expressions the first that yields something usable counts', async () => {
  const customer = ['body.customer', 'body.customer.id', 'body.account'];
  expect((await read({ customer }, { customer: { id: 7 }, account: 'a' })).customer).toBe('7');
  expect((await read({ customer }, { customer: '', account: 'a' })).customer).toBe('a');
  expect((await read({ customer }, {})).customer).toBeNull();
});

test('a detail follows the type after a dot, where there is one', async () => {
  const extraction = { type: ['headers."x-event"'], typeDetail: 'body.action' };
  expect((await read(extraction, { action: 'opened' }, { 'x-event': 'issues' })).type).toBe('issues.opened');
  expect((await read(extraction, {}, { 'x-event': 'push' })).type).toBe('push');
  expect((await read(extraction, { action: 'x'.repeat(255) }, { 'x-event': 'push' })).type).toBe('push');
  expect((await read(extraction, { action: 'opened' })).type).toBeNull();
});

test('an expression that fails yields nothing, and says so', async () => {
  const fields = await read({ customer: ['$number(body.n)'], type: ['body.type'] }, { n: 'x', type: 't' });
  expect(fields).toMatchObject({ customer: null, type: 't', failed: ['customer'] });
});

test('an endless expression does not hold up the door', async () => {
  const fields = await read({ customer: ['($f := function($n) { $f($n + 1) }; $f(1))'] }, {});
  expect(fields.failed).toEqual(['customer']);
});

test.each([
  ['cus_1', 'cus_1'],
  [42, '42'],
  [0, '0'],
  ['', null],
  ['x'.repeat(257), null],
  ['line\nbreak', null],
  ['\u0000', null],
  ['\uD800', null],
  [true, null],
  [null, null],
  [{}, null],
  [undefined, null],
])('as a key, %j is %j', (value, text) => {
  expect(usableText(value)).toBe(text);
});

test.each([
  [1_750_000_000, '2025-06-15T15:06:40.000Z'],
  [1_750_000_000_123, '2025-06-15T15:06:40.123Z'],
  ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000Z'],
  ['2026-01-31t12:00:00.123456+02:00', '2026-01-31T10:00:00.123Z'],
  ['2026-02-30T12:00:00Z', null],
  ['yesterday', null],
  ['2026-01-31', null],
  [1e300, null],
  [-1e300, null],
  [null, null],
  [undefined, null],
])('as a time, %j is %j', (value, time) => {
  expect(instant(value)).toBe(time);
});
