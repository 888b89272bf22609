import { expect, test } from 'vitest';
import { LruMap } from './lru-map.js';

test('a new entry evicts the one that was used least recently, whether it was read or written', () => {
  const map = new LruMap<string, number>(2);
  map.set('a', 1);
  map.set('b', 2);
  expect(map.get('a')).toBe(1);
  map.set('c', 3);
  expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([1, undefined, 3]);
  map.set('a', 4);
  map.set('d', 5);
  expect([map.get('a'), map.get('c'), map.get('d')]).toEqual([4, undefined, 5]);
});

test('a value is made once, and again after it was evicted or deleted', () => {
  const map = new LruMap<string, number>(1);
  let made = 0;
  const read = (key: string): number => map.getOrMake(key, () => (made += 1));
  expect([read('a'), read('a'), read('b'), read('a')]).toEqual([1, 1, 2, 3]);
  map.delete('a');
  expect(read('a')).toBe(4);
});

test('what cannot be made evicts nothing', () => {
  const map = new LruMap<string, number>(1);
  map.set('a', 1);
  expect(() =>
    map.getOrMake('b', () => {
      throw new Error('it cannot be made');
    }),
  ).toThrow('it cannot be made');
  expect(map.get('a')).toBe(1);
});
