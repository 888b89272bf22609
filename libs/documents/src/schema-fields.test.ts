import { expect, test } from 'vitest';
import { z } from 'zod';
import { readAs } from './document-problems.js';

const problems = <T>(schema: z.ZodType<T>, value: unknown): string[] => {
  const read = readAs(schema, value);
  return 'problems' in read ? read.problems.map(({ path, message }) => `${path.join('.')}: ${message}`) : [];
};

test('a field that does not belong is told with the field of a similar name that is not given', () => {
  const rule = z.strictObject({ check: z.string(), message: z.string().optional() });
  const schema = z.strictObject({ rules: z.array(rule).optional(), by: z.record(z.string(), rule).default({}) });
  expect(problems(schema, { rules: [{ chek: 'x' }] })).toEqual([
    'rules.0.check: is missing',
    'rules.0.chek: is not a field that belongs here; did you mean check?',
  ]);
  expect(problems(schema, { by: { one: { check: 'x', mesage: 'y' } } })).toEqual([
    'by.one.mesage: is not a field that belongs here; did you mean message?',
  ]);
  expect(problems(schema, { rules: [{ check: 'x', chek: 'x' }] })).toEqual(['rules.0.chek: is not a field that belongs here']);
});

test('the fields are those of the kind that the value names', () => {
  const schema = z.union([
    z.strictObject({ kind: z.literal('one'), address: z.string().optional() }),
    z.strictObject({ kind: z.literal('other'), adres: z.string().optional() }),
  ]);
  expect(problems(schema, { kind: 'one', addres: 'x' })).toEqual(['addres: is not a field that belongs here; did you mean address?']);
});

const answer = z.union([
  z.strictObject({ output: z.unknown().refine((value) => value !== undefined, { error: 'must be given', abort: true }) }),
  z.strictObject({ text: z.string() }),
  z.strictObject({ review: z.enum(['approved', 'rejected']) }),
]);

test.each([
  ['a wrong word is told by its field', { review: 'approve' }, ['review: must be one of approved, rejected; did you mean approved?']],
  [
    'a misspelt field by the option that has it',
    { reviw: 'approved' },
    ['review: must be one of approved, rejected', 'reviw: is not a field that belongs here; did you mean review?'],
  ],
  ['a value of another type by what all options are', 5, [': must be an object']],
])('of a union, %s', (_, value, expected) => {
  expect(problems(answer, value)).toEqual(expected);
});

test('a union in a union is told by all types that it may have', () => {
  expect(problems(z.union([answer, z.array(answer)]), true)).toEqual([': must be an object or a list']);
  expect(problems(z.union([answer, z.array(answer)]), { review: 'approve' })).toEqual([
    'review: must be one of approved, rejected; did you mean approved?',
  ]);
  expect(problems(z.union([answer, z.array(answer)]), [{ review: 'approve' }])).toEqual([
    '0.review: must be one of approved, rejected; did you mean approved?',
  ]);
});

test('a union says what its own words say, if the value is none of it', () => {
  const words = z.union([z.int(), z.string()], 'must be a number of ms, or a duration');
  expect(problems(words, true)).toEqual([': must be a number of ms, or a duration']);
});
