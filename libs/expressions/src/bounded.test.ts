import jsonata from 'jsonata';
import { expect, test } from 'vitest';
import { isBounded } from './bounded.js';
import { syntaxOf } from './syntax-node.js';

const bounded = (text: string): boolean => isBounded(syntaxOf(jsonata(text)));

test.each([
  'event.data.customer.id',
  'headers."x-topic"',
  'items[0].id',
  'items[type = "a" and n > 3].id',
  '{ "queue": steps.assess.topic, "high": steps.assess.urgency >= 0.6 ? "high" : "low", "all": [event.type, event.data] }',
  'items.{ "id": id, "total": price * count }',
  '$count(value.reasons) > 0 or value.urgency < 0.8',
  '$join(items.name, ", ") & " (" & $string($count(items)) & ")"',
  '$substringBefore([headers."x-shopify-topic", headers."shopify-topic"][0], "/") = "customers" ? body.id',
  'body.related_object[type = "customer"].id',
  '$toMillis(body.at)',
  '(event.type; event.id)',
  '-n',
])('%s is evaluated where it is asked', (text) => {
  expect(bounded(text)).toBe(true);
});

test.each([
  ['a loop', '$map(items, function($x) { $x })'],
  ['a recursion', '($f := function($n) { $f($n + 1) }; $f(1))'],
  ['a variable', '($a := t & t; $b := $a & $a; $b & $b)'],
  ['a regular expression', '$contains(text, /a+/)'],
  ['a pattern applied as a function', 'text ~> /a/'],
  ['a range', '[1..10]'],
  ['a sort', 'items^(n)'],
  ['a group', 'items{ id: n }'],
  ['all fields', 'event.*'],
  ['all descendants', '**.id'],
  ['a binding', 'items@$i.id'],
  ['a position', 'items#$i.id'],
  ['a parent', 'items.parts.{ "id": %.id }'],
  ['a transform', 'event ~> |data|{ "x": 1 }|'],
  ['a function that is not one pass', '$split(text, ",")'],
  ['a replaced text', '$replace(text, ",", ";")'],
  ['a separator from the event', '$join(items, event.separator)'],
  ['a picture', '$toMillis(text, "[Y0001]")'],
  ['the whole input many times, read whole', '$string(items.{ "x": $$ })'],
  ['the whole input many times, compared', 'items.{ "x": $$ } = items.{ "x": $$ }'],
  ['the whole input for each item, read whole', '$string(items.$$)'],
  ['a filter that loops', 'items[$map($$.items, function($x) { $x })]'],
  ['more texts than fit', Array.from({ length: 18 }, () => 'text').join(' & ')],
])('%s is evaluated in a process of its own', (_, text) => {
  expect(bounded(text)).toBe(false);
});
