import { expect, test } from 'vitest';
import { parseJson } from '#libs/json';
import { EventFieldReader, usableText } from './event-fields.js';

const nothing = { eventId: [], type: [], customer: [], occurredAt: [] };
const read = (extraction: object, body: unknown, headers = {}) =>
  new EventFieldReader({ ...nothing, ...extraction }, 'acme').read({ body: body as never, headers });

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
  expect(fields).toMatchObject({ customer: null, type: 't', problems: { customer: 'failed' } });
});

test('an endless expression does not hold up the door', async () => {
  const fields = await read({ customer: ['($f := function($n) { $f($n + 1) }; $f(1))'] }, {});
  expect(fields.problems).toEqual({ customer: 'failed' });
});

test('a tenant whose expressions wait in line keeps no other tenant waiting', async () => {
  const finished: string[] = [];
  const readAs = async (tenant: string, customer: string): Promise<void> => {
    await new EventFieldReader({ ...nothing, customer: [customer] }, tenant).read({ body: {}, headers: {} });
    finished.push(tenant);
  };
  await Promise.all(['busy', 'other'].map((tenant) => readAs(tenant, '$map([1], function($x) { $x })'))); // the processes are ready then
  const busy = Array.from({ length: 5 }, () => readAs('busy', '($f := function($n) { $f($n + 1) }; $f(1))'));
  await Promise.all([...busy, readAs('other', '$map(["c-1"], function($x) { $x })')]);
  expect(finished.at(-1)).toBe('busy');
}, 60_000);

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

test('a value that is no such field is told apart from none', async () => {
  const fields = await read({ customer: ['body.customer'], occurredAt: ['body.at'] }, { at: 'yesterday' });
  expect(fields).toMatchObject({ occurredAt: null, problems: { occurredAt: 'unusable' } });
  expect(fields.problems.customer).toBeUndefined();
});

test.each(['-', '-/billing', '-/'])('the reserved key %s is no customer', async (customer) => {
  expect(await read({ customer: ['body.customer'] }, { customer })).toMatchObject({ customer: null, problems: { customer: 'unusable' } });
});

test('a number is identified by its digits as they were written', async () => {
  const extraction = { eventId: ['body.id'], customer: ['$string(body.account.id)'], type: ['"t-" & body.kind'], occurredAt: ['body.at'] };
  const body = '{"id":9007199254740993,"account":{"id":813683310949021977},"kind":1.10,"at":1750000000.500}';
  expect(await read(extraction, parseJson(body))).toMatchObject({
    eventId: '9007199254740993',
    customer: '813683310949021977',
    type: 't-1.10',
    occurredAt: '2025-06-15T15:06:40.500Z',
  });
});
