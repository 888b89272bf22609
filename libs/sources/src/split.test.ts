import { expect, test } from 'vitest';
import { parseJson } from '#libs/json';
import type { Split } from '#libs/signatures';
import { RequestTooSplit, splitBody } from './split.js';

const split = (text: string, arrays: readonly string[], keeps: Split['keeps']): string[] =>
  splitBody(parseJson(text), text, { arrays, keeps });

test('an array is one event for each element, as it was written', () => {
  expect(split('[ {"id": 9007199254740993.0},{"id":2} ]', [''], 'element')).toEqual(['{"id": 9007199254740993.0}', '{"id":2}']);
  expect(split('[]', [''], 'element')).toEqual([]);
  expect(split('{"id":1}', [''], 'element')).toEqual(['{"id":1}']);
});

test('a request is kept around each element where it matters', () => {
  const text = '{"object":"page","entry":[{"id":1,"changes":[{"a":1.0},{"b":2}]},{"id":2,"messaging":[{"c":3}],"changes":[]}]}';
  expect(split(text, ['entry.changes', 'entry.messaging'], 'request')).toEqual([
    '{"object":"page","entry":[{"id":1,"changes":[{"a":1.0}]}]}',
    '{"object":"page","entry":[{"id":1,"changes":[{"b":2}]}]}',
    '{"object":"page","entry":[{"id":2,"messaging":[{"c":3}]}]}',
  ]);
});

test('an element can stand in place of its array, as one that is no array stands, and names can be left out', () => {
  const unwrapped = (text: string): string[] =>
    splitBody(parseJson(text), text, { arrays: ['a.n'], keeps: 'unwrapped', omits: ['session'] });
  expect(unwrapped('{"a":{"session":"s","org":1,"n":[{"id":1},{"id":2}]}}')).toEqual([
    '{"a":{"org":1,"n":{"id":1}}}',
    '{"a":{"org":1,"n":{"id":2}}}',
  ]);
  expect(unwrapped('{"a":{"session":"s","org":1,"n":{"id":1}}}')).toEqual(['{"a":{"org":1,"n":{"id":1}}}']);
});

test('what lacks the arrays, or has them empty, is one event', () => {
  for (const text of ['{"object":"page"}', '{"entry":[]}', '"text"', 'null', '{"entry":{"changes":7}}']) {
    expect(split(text, ['entry.changes'], 'request').map(parseJson)).toEqual([parseJson(text)]);
  }
});

test('names that need an escape, and those of JavaScript’s own, stay names', () => {
  const text = '{"__proto__":{"x":1},"a\\"b":2,"entry":[1]}';
  expect(split(text, ['entry', 'toString'], 'request')).toEqual(['{"__proto__":{"x":1},"a\\"b":2,"entry":[1]}']);
});

test('one request brings in a limited number of events and of characters', () => {
  expect(() => split(`[${'1,'.repeat(5_000)}1]`, [''], 'element')).toThrow(RequestTooSplit);
  const long = JSON.stringify({ note: 'x'.repeat(20_000), entry: Array.from({ length: 1_000 }, () => 1) });
  expect(() => split(long, ['entry'], 'request')).toThrow(RequestTooSplit);
});
