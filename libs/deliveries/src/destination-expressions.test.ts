import { expect, test } from 'vitest';
import { document } from '#libs/contracts';
import type { DestinationDocument } from '#libs/contracts';
import type { Json } from '#libs/json';
import type { Stored } from '#libs/persistence';
import { objectOf } from './destination-expressions.js';

function destination(supersede?: string): Stored<DestinationDocument> {
  const spec = { kind: 'http', url: 'https://crm.example', secret: { value: `whsec_${'A'.repeat(32)}` }, ...(supersede && { supersede }) };
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Destination', metadata: { tenant: 'acme', name: 'crm' }, spec });
  return { tenant: 'acme', name: 'crm', version: 1, document: parsed as DestinationDocument } as Stored<DestinationDocument>;
}

test.each([
  ['a text', { id: 'o-1' }, 'o-1'],
  ['a number', { id: 7 }, '7'],
  ['an object, as its JSON text', { id: { a: 1 } }, '{"a":1}'],
  ['nothing', { name: 'x' }, null],
  ['null', { id: null }, null],
] as [string, Json, string | null][])('the key of an object may be %s', async (_, payload, expected) => {
  expect(await objectOf(destination('payload.id'), payload)).toBe(expected);
});

test('a long key is kept as its checksum', async () => {
  const key = await objectOf(destination('payload.id'), { id: 'x'.repeat(201) });
  expect(key).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(await objectOf(destination('payload.id'), { id: 'y'.repeat(201) })).not.toBe(key);
});

test('a destination that names no object has none', async () => {
  expect(await objectOf(destination(), { id: 'o-1' })).toBeNull();
});

test('an expression that fails says so', async () => {
  await expect(objectOf(destination('$toMillis(payload.id)'), { id: 'o-1' })).rejects.toMatchObject({
    code: expect.stringMatching(/^(flow|expression)\./) as string,
  });
});
