import { expect, test } from 'vitest';
import { parseStoredJson } from '#libs/json';
import { differencesBetween } from './difference.js';

const between = (before: string, after: string) => differencesBetween(parseStoredJson(before), parseStoredJson(after));

test('values that say the same differ nowhere, in whatever order and way of writing', () => {
  expect(between('{"a": 1, "b": [1.50, "x"]}', '{"b": [1.5, "x"], "a": 1.0}')).toEqual({ kept: [], count: 0 });
  expect(between('813683310949021977', '813683310949021976').count).toBe(1);
});

test('each difference has its path, and what stood and stands there', () => {
  expect(
    between('{"queue": "a", "lines": [{"sku": "x"}, {"sku": "y"}], "old": 1}', '{"queue": "b", "lines": [{"sku": "x"}], "new": null}'),
  ).toEqual({
    count: 4,
    kept: [
      { path: 'queue', before: 'a', after: 'b' },
      { path: 'lines[1]', before: { sku: 'y' } },
      { path: 'old', before: 1 },
      { path: 'new', after: null },
    ],
  });
  expect(between('[]', '{}').kept).toEqual([{ path: '', before: [], after: {} }]);
  expect(between('{"toString": 1}', '{}').kept).toEqual([{ path: 'toString', before: 1 }]);
});

test('what is kept is bounded, what is counted is not', () => {
  const many = (value: string): string => `[${Array.from({ length: 300 }, () => value).join(',')}]`;
  const { kept, count } = between(many('1'), many('2'));
  expect([kept.length, count]).toEqual([50, 300]);
  expect(JSON.stringify(between(`"${'x'.repeat(9_000)}"`, '1').kept).length).toBeLessThan(2_200);
});
