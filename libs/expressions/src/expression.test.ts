import * as fc from 'fast-check';
import jsonata from 'jsonata';
import { expect, test } from 'vitest';
import { LosslessNumber } from '#libs/json';
import { ExpressionFailed, ExpressionInvalid } from './expression.errors.js';
import { compileExpression } from './expression.js';
import { toJson } from './json.js';

const evaluate = (text: string, input: unknown, limits = {}) => compileExpression(text, limits).evaluate(input);

test('a path, a quoted name and a whole expression are read alike', async () => {
  const input = { body: { data: { total: 3, items: [{ id: 'a' }, { id: 'b' }] } }, headers: { 'x-topic': 'orders/paid' } };
  expect(await evaluate('body.data.total', input)).toBe(3);
  expect(await evaluate('headers."x-topic"', input)).toBe('orders/paid');
  expect(await evaluate('body.data.items.id', input)).toEqual(['a', 'b']);
  expect(await evaluate('$join([headers.`x-topic`, $string(body.data.total)], "#")', input)).toBe('orders/paid#3');
  expect(await evaluate('body.nothing.here', input)).toBeUndefined();
});

/** JSON in which the names of {@link direct} occur, and values of all types stand where others are expected. */
const name = fc.constantFrom('a', 'b', 'toString', '__proto__', 'length', '1');
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, 0, 1, 2.5, 'x', '', 'y', true, false),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value')),
  ),
})).value;
/** Expressions that are computed without JSONata, and some that are not inside of them. */
const direct = fc.letrec<{ node: string; path: string }>((tie) => ({
  path: fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.map((one) => `\`${one}\``).join('.')),
  node: fc.oneof(
    { maxDepth: 3 },
    tie('path'),
    fc.constantFrom('1', '2.5', '"x"', '""', 'true', 'false', 'null', '$count(a)', 'a[0]', '(a)'),
    fc
      .tuple(tie('node'), fc.constantFrom('=', '!=', '<', '<=', '>', '>=', 'and', 'or', '&', '+'), tie('node'))
      .map((parts) => parts.join(' ')),
    fc.tuple(tie('node'), tie('node'), tie('node')).map(([condition, then, otherwise]) => `${condition} ? ${then} : ${otherwise}`),
    fc.tuple(tie('node'), tie('node')).map(([condition, then]) => `${condition} ? ${then}`),
    fc
      .array(fc.tuple(name, tie('node')), { maxLength: 3 })
      .map((members) => `{${members.map(([key, value]) => `"${key}": ${value}`).join(', ')}}`),
  ),
}));

const outcomeOf = async (act: () => unknown): Promise<unknown> => {
  try {
    return { value: await act() };
  } catch (error) {
    return { failure: (error as { message: string }).message.split(', in the expression')[0]!.replace(/\.$/, '') };
  }
};

test.each(['path', 'node'] as const)(
  'what is computed directly is what JSONata gives, on any JSON: %s',
  async (kind) => {
    await fc.assert(
      fc.asyncProperty(direct[kind], json, async (text, input) => {
        const theirs = await outcomeOf(async () => toJson(await jsonata(text).evaluate(input)));
        expect(await outcomeOf(async () => evaluate(text, input))).toEqual(theirs);
      }),
      { numRuns: 2_000 },
    );
  },
  60_000,
);

test('an object of paths and literals is computed at once', () => {
  const decide = '{ "queue": a.topic, "level": a.urgency >= 0.6 ? "high" : a.urgency >= 0.3 ? "normal" : "low", "why": a.reasons }';
  const expression = compileExpression(decide);
  expect(expression.evaluate({ a: { topic: 'x', urgency: 0.4, reasons: ['r'] } })).toEqual({ queue: 'x', level: 'normal', why: ['r'] });
  const amount = new LosslessNumber('10.00');
  expect(expression.evaluate({ a: { topic: amount, urgency: 0.7 } })).toEqual({ queue: amount, level: 'high' });
  expect(expression.evaluate({ a: { topic: 'x', urgency: amount } })).toBeInstanceOf(Promise); // JSONata compares it as a double
});

test('a result that is too large is refused, however it is computed', async () => {
  const body = 'x'.repeat(1_500_000);
  await expect(evaluate('{ "a": body, "b": body, "c": body }', { body })).rejects.toThrow('the result is larger than 4194304 characters');
});

test('results are plain JSON: sequences lose their marks and absent values are left out', async () => {
  const result = await evaluate('{ "ids": items.id, "none": nothing, "kept": null }', { items: [{ id: 1 }, { id: 2 }] });
  expect(result).toStrictEqual({ ids: [1, 2], kept: null });
  expect(Object.keys((result as { ids: number[] }).ids)).toEqual(['0', '1']);
});

test('a result that is not JSON is refused', async () => {
  await expect(evaluate('{ "f": $map }', {})).rejects.toThrow('the result holds a function');
  await expect(evaluate('function($x) { $x }', {})).rejects.toThrow('the result holds a function');
  await expect(evaluate('$reduce([1..30], function($a, $b) { $a & $a }, "x")', {})).rejects.toThrow(ExpressionFailed);
});

test('a text that is not JSONata is refused with its position', () => {
  expect(() => compileExpression('body..')).toThrow(ExpressionInvalid);
  expect(() => compileExpression('$sum(body.')).toThrow(
    'Expected ")" before end of expression (at character 10), in the expression \'$sum(body.\'',
  );
});

test('an expression cannot have text of the event parsed as another one', () => {
  expect(() => compileExpression('$eval(body)')).toThrow("$eval is not available, in the expression '$eval(body)'");
  expect(() => compileExpression('($run := $eval; $run(body))')).toThrow(ExpressionInvalid);
});

test('a failing evaluation says why, and which expression', async () => {
  await expect(evaluate('$number(body)', { body: 'x' })).rejects.toThrow(
    `Unable to cast value to a number: "x", in the expression '$number(body)'`,
  );
});

test.each([
  ['a loop without end', '($f := function($n) { $f($n + 1) }; $f(1))'],
  ['a recursion without end', '($f := function($n) { 1 + $f($n + 1) }; $f(1))'],
  ['a sequence without measure', '$count([1..5000000])'],
  ['a sequence built from small ones', '$count($map([1..1000], function($x) { [1..1000] }).$)'],
])('%s reaches a limit', async (_, text) => {
  await expect(evaluate(text, {}, { timeoutMs: 50 })).rejects.toBeInstanceOf(ExpressionFailed);
});

test('a regular expression cannot be made to backtrack', async () => {
  const hostile = { text: `${'a'.repeat(5_000)}!` };
  expect(await evaluate('$contains(text, /^(a+)+$/)', hostile)).toBe(false);
  expect(() => compileExpression('text ~> /(?=a)b/')).toThrow(ExpressionInvalid);
  expect(() => compileExpression(String.raw`$match(text, /(a)\1/)`)).toThrow(ExpressionInvalid);
});

test('regular expressions match, capture and replace as JSONata says', async () => {
  const input = { text: 'Order ab-12 and AB-34 für 🎉 cd-5' };
  expect(await evaluate('$match(text, /([a-z]+)-(\\d+)/i).groups', input)).toEqual(['ab', '12', 'AB', '34', 'cd', '5']);
  expect(await evaluate('$match(text, /cd/).index', input)).toBe(input.text.indexOf('cd'));
  expect(await evaluate('$replace(text, /\\d+/, "#")', input)).toBe('Order ab-# and AB-# für 🎉 cd-#');
  expect(await evaluate('$split("a1b22c", /\\d+/)', input)).toEqual(['a', 'b', 'c']);
});

test('input nested beyond reason is a failure of the expression, not of the process', async () => {
  const nested: unknown = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000));
  await expect(evaluate('a.b', { a: nested })).rejects.toBeInstanceOf(ExpressionFailed);
  await expect(evaluate('{ "copy": a }', { a: nested })).rejects.toBeInstanceOf(ExpressionFailed);
});

test('evaluations at the same time do not share state', async () => {
  const expression = compileExpression('$sum(items) * factor');
  const results = await Promise.all([1, 2, 3].map(async (factor) => expression.evaluate({ items: [1, 2], factor })));
  expect(results).toEqual([3, 6, 9]);
});
