import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { topics } from '../topics.js';
import { compiledCheck } from './compiled-check.js';
import { StartBulkOperation, StartTrial } from './commands.js';

const types = Object.values(topics).flatMap(({ types: carried }) => carried);
const at = '2026-11-29T10:00:00.000Z';

/** Values of every kind that a field of a record can have, and their neighbours. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    true,
    0,
    1,
    -1,
    1.5,
    2 ** 53,
    Number.NaN,
    '',
    'a',
    'a b',
    '-a',
    'evt_1',
    'é',
    'a\u0000',
    {},
    [],
    [[]],
  ),
  fc.constantFrom<unknown>(
    at,
    '2026-02-30T10:00:00Z',
    '2026-11-29T10:00:00+01:00',
    '2026-11-29',
    'high',
    'pending',
    'skipped',
    'delivered',
    'run',
  ),
  fc.string({ maxLength: 300 }),
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(
    [{ step: 'a', destination: 'b', payload: null }],
    [{ step: 'a', destination: 'b', payload: null, atLeastOnce: true }],
    [{ step: 'a', destination: 'b', payload: null, atLeastOnce: 1 }],
    [{ step: 'a', destination: 'b' }],
    [{ step: 'A', destination: 'b', payload: 1 }],
  ),
);

/** Records of any names are not compiled. */
const withRecords: readonly unknown[] = [StartBulkOperation, StartTrial];

test.each(types)('$schema: what fits is what zod takes as it is, and every usual record fits', (type) => {
  const { shape } = type.check as unknown as z.ZodObject;
  const usual = z.object(shape).safeParse(usualOf(shape));
  expect(usual.error).toBeUndefined();
  const isCompiled = !withRecords.includes(type);
  expect(type.fits(usual.data)).toBe(isCompiled);
  const changes = fc.dictionary(fc.constantFrom(...Object.keys(shape), 'other', 'toString'), odd, { maxKeys: 3, noNullPrototype: true });
  fc.assert(
    fc.property(changes, (changed) => {
      const value = { ...usual.data, ...changed };
      const { data } = type.check.safeParse(value);
      if (type.fits(value)) expect(value).toEqual(data);
      else if (isCompiled)
        expect(data === undefined || Object.keys(data).length < Object.keys(value).length || hasUndefined(value)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

/** zod keeps an optional member that is given as undefined; such a value is left to it. */
function hasUndefined(value: object): boolean {
  return Object.values(value).includes(undefined);
}

const noEvents = { eventId: null, sample: null, filter: null };

/** A value for each member: the first of these that its schema takes. */
function usualOf(shape: Readonly<Record<string, z.core.$ZodType>>): Record<string, unknown> {
  const candidates: unknown[] = [
    'evt_1',
    at,
    'high',
    1,
    'run',
    'pending',
    'replay',
    'events',
    'req_1',
    'refused',
    'try',
    null,
    {},
    [],
    true,
    noEvents,
  ];
  const entries = Object.entries(shape).map(([name, schema]) => [name, candidates.find((value) => z.safeParse(schema, value).success)]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Record<string, unknown>;
}

test.each([
  ['a transformation', z.object({ a: z.string().transform(Number) })],
  ['a default', z.object({ a: z.string().default('x') })],
  ['a trimmed text', z.object({ a: z.string().trim() })],
  ['an object that takes more members', z.looseObject({ a: z.string() })],
  ['a union', z.union([z.string(), z.number()])],
  ['a check of several members', z.object({ a: z.string() }).superRefine(() => undefined)],
  ['a format that is more than an expression', z.url()],
])('a schema with %s is left to zod', (_, schema) => {
  expect(compiledCheck(schema)).toBeUndefined();
});
