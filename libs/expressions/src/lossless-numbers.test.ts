import { expect, test } from 'vitest';
import { asDoubles, parseJson } from '#libs/json';
import { compileExpression } from './expression.js';

/** The result as JSON text, on input of which the digits are kept. */
const evaluate = async (text: string, input: string): Promise<string | undefined> =>
  JSON.stringify(await compileExpression(text).evaluate(parseJson(input)));

const ids =
  '{"a":9007199254740993,"b":9007199254740992,"c":9007199254740993.0,"list":[{"id":813683310949021977,"n":1.0},{"id":813683310949021978,"n":2.50}],"huge":1e400}';

test.each([
  ['a', '9007199254740993'],
  ['huge', '1e400'],
  ['list', '[{"id":813683310949021977,"n":1.0},{"id":813683310949021978,"n":2.50}]'],
  ['list.id', '[813683310949021977,813683310949021978]'],
  [
    '{ "a": a, "both": [a, b], "last": list[-1].id }',
    '{"a":9007199254740993,"both":[9007199254740993,9007199254740992],"last":813683310949021978}',
  ],
  ['$merge([list[0], { "x": a }])', '{"id":813683310949021977,"n":1.0,"x":9007199254740993}'],
  ['list ~> $map(function($v) { $v.id })', '[813683310949021977,813683310949021978]'],
  [
    '$ ~> | list[0] | { "seen": $$.a } | ~> $lookup("list")',
    '[{"id":813683310949021977,"n":1.0,"seen":9007199254740993},{"id":813683310949021978,"n":2.50}]',
  ],
  ['**.id', '[813683310949021977,813683310949021978]'],
  ['$distinct(list.id)', '[813683310949021977,813683310949021978]'],
  ['$reverse(list.id)', '[813683310949021978,813683310949021977]'],
  ['true ? a : b', '9007199254740993'],
])('a value that is passed on keeps its digits: %s', async (text, result) => {
  expect(await evaluate(text, ids)).toBe(result);
});

test.each([
  ['$string(a)', '"9007199254740993"'],
  ['"id-" & a & "/" & list[0].n', '"id-9007199254740993/1.0"'],
  ['$string({ "a": a })', '"{\\"a\\":9007199254740993}"'],
  ['$join(list.id ~> $map($string), ",")', '"813683310949021977,813683310949021978"'],
])('a number that is written keeps its digits: %s', async (text, result) => {
  expect(await evaluate(text, ids)).toBe(result);
});

test.each([
  ['a = b', 'false'],
  ['a != b', 'true'],
  ['a = c', 'true'],
  ['a = 9007199254740993', 'true'],
  ['a = 9007199254740992', 'false'],
  ['b = 9007199254740992', 'true'],
  ['list[id = 813683310949021978].n', '2.50'],
  ['a in [b]', 'false'],
  ['list[0].id in list.id', 'true'],
  ['list[0].n = 1', 'true'],
  ['list[0] = { "id": 813683310949021977, "n": 1 }', 'true'],
])('two numbers are equal if they are the same number: %s', async (text, result) => {
  expect(await evaluate(text, ids)).toBe(result);
});

test('a literal keeps its digits', async () => {
  expect(await evaluate('{ "id": 813683310949021977, "next": -813683310949021977, "half": 0.5 }', '{}')).toBe(
    '{"id":813683310949021977,"next":-813683310949022000,"half":0.5}',
  );
});

test.each([
  'a + 1',
  'a - b',
  '-a',
  'a > b',
  'a >= b',
  'list[0].n < 2',
  'list[n > 1].n',
  'list[list[0].n]',
  '$sum(list.n)',
  'list.n ~> $sum',
  '$average(list.n) * list[0].n',
  '$max(list.n)',
  '$round(list[1].n)',
  '$power(list[1].n, list[0].n)',
  '$number(list[1].n) + 1',
  '$type(list[0].n)',
  '$boolean(list[0].n)',
  'list[0].n ? "yes" : "no"',
  '(list[0].n and true)',
  '$not(list[0].n)',
  '[list[0].n..3]',
  'list^(>n).(n + 0)',
  '$sort(list.n) ~> $map(function($v) { $v * 1 })',
  '$sort(list, function($l, $r) { $l.n < $r.n }).(n * 1)',
  '$reduce(list.n, function($x, $y) { $x + $y })',
  'list{ $string("k"): $sum(n) }',
  '$substring("abc", list[0].n)',
  '$pad("x", list[1].n * 2, "-")',
  '$formatNumber(list[1].n, "0.0")',
  '$filter(list, function($v) { $v.n > 1 }).(n & "" = "2.50" or n = 2.5)',
  '$count(list.n)',
  '$exists(list[0].n)',
  '$replace("a1", /[0-9]/, function($m) { $m.match & list[0].n * 1 })',
  '$match("abc", /b/, list[0].n).match',
  '$boolean([list[0].n, function($x) { $x }])',
  '[list[0].n, function($x) { $x }] = [1] ? 1 : 2',
  '$power(?, 2)(list[1].n)',
  '($f := function($x) { $x < 3 ? $f($x + list[0].n) : $x }; $f(list[0].n))',
])('everything else computes with doubles: %s', async (text) => {
  const doubles = JSON.stringify(asDoubles(parseJson(ids)));
  const withoutHuge = (json: string): string => json.replace('"huge":null', '"huge":1');
  expect((await evaluate(text, ids))?.replaceAll('1.0', '1').replaceAll('2.50', '2.5')).toBe(await evaluate(text, withoutHuge(doubles)));
});

test('a number that a double cannot hold is not computed with', async () => {
  await expect(evaluate('huge * 2', ids)).rejects.toThrow('Number out of range');
});

test('the transform operator does not round', async () => {
  expect(await evaluate('$ ~> | at | { "seen": true } |', '{"at":{"lat":52.520006599999995}}')).toBe(
    '{"at":{"lat":52.520006599999995,"seen":true}}',
  );
});

test('a large list of numbers with digits of their own is computed with in the time of a test', async () => {
  const list = `{"list":[${Array.from({ length: 100_000 }, () => '1.0').join(',')}]}`;
  expect(await evaluate('$sum(list) + $max(list) * $count(list)', list)).toBe('200000');
});
