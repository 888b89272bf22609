import * as fc from 'fast-check';
import jsonata from 'jsonata';
import { expect, test } from 'vitest';
import { compileExpression } from './expression.js';
import { toJson } from './json.js';

const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, 0, 1, -1.5, '', 'a', 'b', '1', true, false),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('a', 'b', '__proto__', 'length'), tie('value')),
  ),
})).value;

/** The result, or the code of the error and what it says. */
async function outcomeOf(evaluation: Promise<unknown>): Promise<unknown> {
  try {
    return { result: toJson(await evaluation) };
  } catch (error) {
    return { failed: (error as Error).message.replace(/\.?(, in the expression .*)?$/s, '') };
  }
}

test.each([
  '$distinct(a)',
  '$distinct(a.b)',
  '$distinct([a, a, b])',
  '$spread(a)',
  '$spread(a.b)',
  '[$spread([a, b])]',
  '$count($spread(a))',
  '$sort(a)',
  '$sort(a, function($l, $r) { $string($l) > $string($r) })',
  '$sort([a, b], function($l, $r) { true })',
  '$pad(a, 5)',
  '$pad(a, b)',
  '$pad("🎉é", -7, "xy🎉")',
  '["x", "y"].$pad($, -3)',
])('%s gives what JSONata gives, on any JSON', async (text) => {
  const expression = compileExpression(text);
  await fc.assert(
    fc.asyncProperty(fc.record({ a: json, b: json }, { requiredKeys: [] }), async (input) => {
      expect(await outcomeOf(Promise.resolve(expression.evaluate(input)))).toEqual(await outcomeOf(jsonata(text).evaluate(input)));
    }),
    { numRuns: 300 },
  );
});

test('an empty array and an object of length 0 are the same, as they are to JSONata', async () => {
  const input = { a: [[], { length: 0 }, [1], { 0: 1, length: 1 }, { 0: 1 }] };
  expect(await compileExpression('$distinct(a)').evaluate(input)).toEqual([[], [1], { 0: 1 }]);
  expect(toJson(await jsonata('$distinct(a)').evaluate(input))).toEqual([[], [1], { 0: 1 }]);
});

test('functions are distinct from each other, and not spread', async () => {
  expect(await compileExpression('$count($distinct([$sum, $count, $sum]))').evaluate({})).toBe(
    await jsonata('$count($distinct([$sum, $count, $sum]))').evaluate({}),
  );
});

// JSONata's own need minutes, or more memory than there is.
test.each([
  ['$count($sort(items))', 300_000],
  ['$count($distinct(items))', 300_000],
  ['$count($spread(items.{ "a": $ }))', 90_000],
])('%s is done in the time of a test, as large as an event can be', async (text, size) => {
  const items = Array.from({ length: size }, (_, at) => (at * 7_919) % size);
  expect(await compileExpression(text, { timeoutMs: 60_000 }).evaluate({ items })).toBe(size);
});

test('text is not padded without measure', async () => {
  await expect(compileExpression('$pad("", 300000000)').evaluate({})).rejects.toThrow('$pad to 300000000 characters is more than 4194304');
});
