import { expect, test } from 'vitest';
import { SchemaInvalid, compileSchema, requireCompilable } from './compiled-schema.js';

const text = { type: 'string' };
/** Within the price of a schema: a value of many texts takes a hundred thousand patterns to check. */
const dear = { type: 'array', items: { anyOf: Array.from({ length: 60 }, (_, at) => ({ ...text, pattern: `^(a|b)*c{${at + 1}}$` })) } };
const many = (count: number): string[] => Array.from({ length: count }, () => 'ab'.repeat(20));

test('a cheap check has its answer at once', () => {
  expect(compileSchema(text).problemsOf('a')).toEqual([]);
  expect(compileSchema(text).problemsOf(1)).toEqual(['the value must be string']);
});

test('a dear check leaves the thread to others, and has the answer that this thread would give', async () => {
  const schema = compileSchema(dear, { owner: 'acme' });
  const problems = schema.problemsOf(many(20));
  expect(problems).toBeInstanceOf(Promise);
  expect(await problems).toHaveLength(10);
  expect(await schema.problemsOf([...many(5), `${'ab'.repeat(20)}c`])).toContain('/0 must match pattern "^(a|b)*c{1}$"');
  expect(await schema.problemsOf(Array.from({ length: 60 }, (_, at) => `${'ab'.repeat(20)}${'c'.repeat(at + 1)}`))).toEqual([]);
  expect(await schema.problemsOf(many(2_000))).toEqual([expect.stringContaining('more than 4000000 steps')]);
});

test('whether a schema can be used is found out without holding the thread, however large it is', async () => {
  await requireCompilable(dear, { owner: 'acme' });
  const broken = { allOf: [...dear.items.anyOf, { type: 'strnig' }] };
  await expect(requireCompilable(broken)).rejects.toBeInstanceOf(SchemaInvalid);
  await expect(requireCompilable(broken)).rejects.toThrow(/^allOf\.60\.type must be one of /);
  await expect(requireCompilable({ $ref: '#' })).rejects.toThrow('leads back to itself');
  await expect(requireCompilable({ type: 'strnig' })).rejects.toBeInstanceOf(SchemaInvalid);
});
