import { describe, expect, test } from 'vitest';
import { EventReceived, document } from '#libs/contracts';
import type { SourceDocument } from '#libs/contracts';
import { parseJson } from '#libs/json';
import { resolveSource } from './source.js';
import type { SourceRules } from './source-rules.js';

const specOf = (spec: object) =>
  document.safeParse({
    apiVersion: 'millrace/v1',
    kind: 'Source',
    metadata: { tenant: 'acme', name: 'shop' },
    spec: { scheme: 'api-key', ...spec },
  });
function rulesOf(spec: object): SourceRules | undefined {
  const parsed = specOf(spec);
  if (!parsed.success) throw parsed.error;
  return resolveSource('acme', 'shop', (parsed.data as SourceDocument).spec).rules;
}

const event: EventReceived = {
  eventId: 'evt_1',
  tenant: 'acme',
  source: 'shop',
  customer: 'c',
  lane: 'normal',
  type: 'order.paid',
  providerEventId: '1',
  occurredAt: '2026-11-30T10:00:00.000Z',
  receivedAt: '2026-11-30T10:00:00.000Z',
  contentType: 'application/json',
  body: '{}',
};
const order = { type: 'object', required: ['total'], properties: { total: { type: 'number', minimum: 0 } } };

test('a source without rules has none to ask', () => {
  expect(rulesOf({})).toBeUndefined();
});

describe('the schemas of a source', () => {
  const rules = rulesOf({
    schemas: [
      { types: ['order.test.*'], schema: {} },
      { types: ['order.*'], schema: order },
      { types: ['invoice.*'], schema: order, onMismatch: 'flag' },
    ],
  })!;

  test('take an event whose data fits, as it is, and one of a type that none is for', async () => {
    expect(await rules.judged(event, { total: 1 })).toBe(event);
    const other = { ...event, type: 'customer.created' };
    expect(await rules.judged(other, 'anything')).toBe(other);
  });

  test('refuse one that does not fit with the place and the reason, and never its value', async () => {
    const refused = rules.judged(event, { total: 'secret-value' });
    await expect(refused).rejects.toMatchObject({
      code: 'event.schemaMismatch',
      field: 'body',
      message: expect.stringContaining('/total must be number') as string,
    });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('secret-value') as string });
    await expect(rules.judged(event, null)).rejects.toThrow('must be object');
  });

  test('flag one that does not fit where they say so, and the record passes its check', async () => {
    const flagged = await rules.judged({ ...event, type: 'invoice.paid' }, { total: -1 });
    expect(flagged).toMatchObject({ type: 'invoice.paid', schemaProblem: expect.stringContaining('/total must be >= 0') as string });
    expect(EventReceived.check.parse(flagged)).toEqual(flagged);
  });

  test('of several for a type the first counts, and numbers beyond a double count as the nearest one', async () => {
    const tested = { ...event, type: 'order.test.paid' };
    expect(await rules.judged(tested, { total: 'x' })).toBe(tested);
    expect(await rules.judged(event, parseJson('{"total":12345678901234567890.12}'))).toBe(event);
  });

  test.each([
    ['is no schema', { type: 'objekt' }, undefined],
    ['is longer than a door compiles', { enum: ['x'.repeat(17_000)] }, 'must be at most 16384 characters long as JSON'],
  ])('are refused when the document is applied, if one %s', (_, schema, message) => {
    const parsed = specOf({ schemas: [{ types: ['*'], schema }] });
    if (message === undefined) expect(parsed.success).toBe(true); // the check at apply compiles it: libs/documents
    else expect(JSON.stringify(parsed.error?.issues)).toContain(message);
  });
});

test('addresses are single ones and ranges of both families, and an unknown caller has none of them', () => {
  const rules = rulesOf({ addresses: ['192.0.2.0/24', '2001:db8::7'] })!;
  for (const address of ['192.0.2.9', '::ffff:192.0.2.9', '2001:db8::7']) expect(() => rules.requireAddress(address)).not.toThrow();
  for (const address of ['192.0.3.1', '2001:db8::8', '']) expect(() => rules.requireAddress(address)).toThrow('takes no requests from');
  expect(specOf({ addresses: ['192.0.2.0/33'] }).success).toBe(false);
  expect(() => rulesOf({ maxBodyBytes: 9 })!.requireAddress('')).not.toThrow();
});

test('a body may be as large as the source says, and no larger', () => {
  const rules = rulesOf({ maxBodyBytes: 100 })!;
  expect(() => rules.requireBodyBytes(100)).not.toThrow();
  expect(() => rules.requireBodyBytes(101)).toThrow('larger than 100 bytes');
  expect(() => rulesOf({ addresses: ['::1'] })!.requireBodyBytes(1e9)).not.toThrow();
});
