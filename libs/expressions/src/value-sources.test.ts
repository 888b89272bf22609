import { describe, expect, test } from 'vitest';
import { valueSources } from './value-sources.js';

const sources = (expression: string, field = ''): string[] =>
  valueSources(expression)(field === '' ? [] : field.split('.'))
    .map((path) => path.join('.') || '(all)')
    .toSorted();

describe('the value of an expression is made of', () => {
  test.each<[string, string[]]>([
    ['steps.a.to', ['steps.a.to']],
    ['"#ops"', []],
    ['"x" & steps.a.name & event.id', ['event.id', 'steps.a.name']],
    ['steps.a.urgent ? "#now" : event.data.channel', ['event.data.channel']],
    ['steps.a.topic = "billing"', []],
    ['$lookup({ "billing": "#money", "other": event.type }, steps.a.topic)', ['event.type']],
    ['event.data.contacts[team = $$.steps.a.team].mail', ['event.data.contacts.mail']],
    ['[event.id, steps.a.b]', ['event.id', 'steps.a.b']],
    ['{ "a": steps.a, "b": 1 }', ['steps.a']],
    ['($to := steps.a.to; $to ? $to : "none")', ['steps.a.to']],
    ['($pick := { "x": steps.a.b }; $pick.x)', ['steps.a.b']],
    ['$lowercase(steps.a.to)', ['steps.a.to']],
    ['$count(steps.a.list)', []],
    ['$$', ['(all)']],
    ['steps.a.to ?? event.id', ['event.id', 'steps.a.to']],
    ['$map(steps.a.list, function($x) { $x.to & event.id })', ['event.id', 'steps.a.list']],
    ['$map(steps.a.list, $string)', ['steps.a.list']],
    ['steps.a.list.{ "to": name }', ['steps.a.list']],
    ['steps.a.list{ name: value }', ['steps.a.list']],
    ['steps.a ~> $string', ['steps.a']],
    ['-steps.a.n', ['steps.a.n']],
    ['($f := function($x) { $x & steps.a.to }; $f(event.id))', ['event.id', 'steps.a.to']],
  ])('%s: %j', (expression, expected) => expect(sources(expression)).toEqual(expected));
});

describe('a field of the value of an expression is made of', () => {
  test.each<[string, string, string[]]>([
    ['{ "to": event.data.mail, "text": steps.a.text }', 'to', ['event.data.mail']],
    ['{ "to": event.data.mail, "text": steps.a.text }', 'text', ['steps.a.text']],
    ['{ "to": { "address": steps.a.to, "name": "x" } }', 'to.address', ['steps.a.to']],
    ['{ "to": [event.id, steps.a.to] }', 'to.*', ['event.id.*', 'steps.a.to.*']],
    ['{ event.key: steps.a.to }', 'to', ['event.key', 'steps.a.to']],
    ['steps.a', 'to', ['steps.a.to']],
    ['$merge([{ "to": "x" }, steps.a])', 'to', ['steps.a.to']],
    ['steps.a.urgent ? { "to": "x" } : { "to": steps.b.to }', 'to', ['steps.b.to']],
    ['$$', 'payload.to', ['payload.to']],
    ['{ "text": steps.a.text }', 'to', []],
    ['($x := $x; { "to": $x })', 'to', []],
  ])('%s, %s: %j', (expression, field, expected) => expect(sources(expression, field)).toEqual(expected));
});

test('variables that double with each line are followed once', () => {
  const lines = Array.from({ length: 200 }, (_, at) => `$v${at + 1} := $v${at} & $v${at};`);
  expect(sources(`($v0 := steps.a.to; ${lines.join(' ')} $v200)`)).toEqual(['steps.a.to']);
});
