import { expect, test } from 'vitest';
import { differencesOf } from './document.difference.js';

test('a changed, a new and a missing field are named by their paths', () => {
  const before = { spec: { url: 'http://a', headers: { x: '1' } } };
  const after = { spec: { url: 'http://b', headers: {}, timeoutMs: 5 } };
  expect(differencesOf(before, after)).toEqual([
    { path: 'spec.url', before: 'http://a', after: 'http://b' },
    { path: 'spec.headers.x', before: '1', after: null },
    { path: 'spec.timeoutMs', before: null, after: 5 },
  ]);
});

test('a list is compared item by item', () => {
  const flow = (...ids: string[]): object => ({ steps: ids.map((id) => ({ id })) });
  expect(differencesOf(flow('a', 'b'), flow('a', 'c', 'd'))).toEqual([
    { path: 'steps.1.id', before: 'b', after: 'c' },
    { path: 'steps.2', before: null, after: { id: 'd' } },
  ]);
});

test('a field is compared with none that every object inherits', () => {
  expect(differencesOf({ properties: {} }, { properties: { constructor: 1, toString: {} } })).toEqual([
    { path: 'properties.constructor', before: null, after: 1 },
    { path: 'properties.toString', before: null, after: {} },
  ]);
});

test('what is new, or gone, is different in all it has', () => {
  expect(differencesOf(undefined, { kind: 'Flow' })).toEqual([{ path: 'kind', before: null, after: 'Flow' }]);
  expect(differencesOf({ kind: 'Flow' }, undefined)).toEqual([{ path: 'kind', before: 'Flow', after: null }]);
});
