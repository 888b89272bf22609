import jsonata from 'jsonata';
import { expect, it } from 'vitest';
import { functionNames, namesIn } from './expression-names.js';

it.each<[string, string[][]]>([
  ['steps.assess.topic', [['steps', 'assess', 'topic']]],
  [
    '{ "a": steps.a, "b": [event.data.x] }',
    [
      ['steps', 'a'],
      ['event', 'data', 'x'],
    ],
  ],
  ['$$.steps.a', [['steps', 'a']]],
  ['$.steps.a', [['steps', 'a']]],
  ['$count(steps.a.list[kind = "x"].name)', [['steps', 'a', 'list', 'name']]],
  [
    'event.data.{ "own": steps.a, "root": $$.steps.b }',
    [
      ['event', 'data'],
      ['steps', 'b'],
    ],
  ],
  [
    'event.data.items[steps.a = 1 and $$.steps.b]',
    [
      ['event', 'data', 'items'],
      ['steps', 'b'],
    ],
  ],
  ['event.data.items^(>steps.a)', [['event', 'data', 'items']]],
  ['event.data.items{steps.a: $sum(price)}', [['event', 'data', 'items']]],
  [
    '$map(event.data.list, function($item) { $item.steps.x & event.type })',
    [
      ['event', 'data', 'list'],
      ['event', 'type'],
    ],
  ],
  [
    '(steps.a ? steps.b : steps.c) ~> $string',
    [
      ['steps', 'a'],
      ['steps', 'b'],
      ['steps', 'c'],
    ],
  ],
  ['event.data ~> |steps|{"a": steps}|', [['event', 'data']]],
  ['"text" & 1', []],
])('reads of the input: %s', (expression, paths) => {
  expect(namesIn(expression).inputPaths).toEqual(expect.arrayContaining(paths));
  expect(namesIn(expression).inputPaths).toHaveLength(paths.length);
});

it('finds variables and functions that nothing defines', () => {
  expect(namesIn('($x := 1; $f := function($a, $b) { $a + $x }; data@$d#$i.($d & $i & $f(1)); $now())').undefinedVariables).toEqual([]);
  expect(namesIn('$nosuch($x) & $sum([$$.y, $.z])').undefinedVariables.toSorted()).toEqual(['nosuch', 'x']);
  expect(namesIn('a[$foo = 1].{ "k": $bar }').undefinedVariables).toEqual(['foo', 'bar']);
});

it('knows the functions that JSONata has, and no others', async () => {
  const types = await Promise.all([...functionNames].map((name) => jsonata(`$type($${name})`).evaluate({})));
  expect(new Set(types)).toEqual(new Set(['function']));
});
