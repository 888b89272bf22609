import { expect, test } from 'vitest';
import { deadLetterOf } from './parking.js';

const record = {
  topic: 'millrace.outcomes',
  partition: 3,
  offset: 42,
  logId: 'log',
  timestampMs: 0,
  key: Buffer.from('acme/customer/7'),
  value: Buffer.from('{"eventId":"evt_1","runId":7}'),
  headers: { mr_tenant: 'acme' },
};
const failure = { code: 'record.defect', message: 'x is undefined' };
const now = new Date('2026-11-21T08:00:00Z');

test('a dead letter says what failed, whose it is, where it stands, and what it holds', () => {
  const { deadLetterId, ...letter } = deadLetterOf(record, 'flows', failure, now);
  expect(deadLetterId).toMatch(/^dlq_/);
  expect(letter).toEqual({
    tenant: 'acme',
    customer: 'customer/7',
    kind: 'record',
    code: 'record.defect',
    message: 'x is undefined',
    eventId: 'evt_1',
    runId: null,
    deliveryId: null,
    position: 'millrace.outcomes/3/42',
    valueBase64: record.value.toString('base64'),
    at: '2026-11-21T08:00:00.000Z',
  });
});

test('parking the same record twice is one dead letter; of another group it is another', () => {
  const id = (group: string, at = now): string => deadLetterOf(record, group, failure, at).deadLetterId;
  expect(id('flows', new Date())).toBe(id('flows'));
  expect(id('recorder')).not.toBe(id('flows'));
});

test('a record at the same place of a topic that was created anew is another dead letter', () => {
  const id = (logId: string): string => deadLetterOf({ ...record, logId }, 'flows', failure, now).deadLetterId;
  expect(id('new')).not.toBe(id('log'));
});

test('a record without a readable key, value or owner can still be parked', () => {
  const letter = deadLetterOf({ ...record, key: null, value: Buffer.from([0xff]), headers: undefined }, 'flows', failure, now);
  expect(letter).toMatchObject({ tenant: '', customer: '-', eventId: null, valueBase64: '/w==' });
});

test('a value that is too large for a record of its own is left where it stands', () => {
  expect(deadLetterOf({ ...record, value: Buffer.alloc(3_000_000) }, 'flows', failure, now).valueBase64).toBeNull();
});
