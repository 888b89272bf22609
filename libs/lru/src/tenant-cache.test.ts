import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TenantCache } from './tenant-cache.js';

const limits = { totalBytes: 100, bytesOfTenant: 60, bytesOfOutput: 50 };
let nowMs = 0;
const make = (more: object = {}): TenantCache<unknown> => new TenantCache({ ...limits, ...more }, () => nowMs);

test('an output is given until it is older than asked for', () => {
  const cache = make();
  cache.set('k', 'acme', { a: 1 });
  nowMs += 10;
  expect(cache.get('k', 10)?.output).toEqual({ a: 1 });
  expect(cache.get('k', 9)).toBeUndefined();
  expect(cache.get('other', 10)).toBeUndefined();
});

test('an output of null is an output', () => {
  const cache = make();
  cache.set('k', 'acme', null);
  expect(cache.get('k', 0)).toMatchObject({ output: null });
});

test('the output that was used least recently goes first, of the tenant that has its share before those of others', () => {
  const cache = make();
  const text = 'x'.repeat(17); // 20 bytes with its key
  cache.set('o', 'other', text);
  for (const key of ['a', 'b', 'c']) cache.set(key, 'acme', text);
  cache.get('a', 0);
  cache.set('d', 'acme', text);
  const left = ['o', 'a', 'b', 'c', 'd'].filter((key) => cache.get(key, 0) !== undefined);
  expect(left).toEqual(['o', 'a', 'c', 'd']);
});

test('an output that is too large is not kept, and the one before is not given for it', () => {
  const cache = make();
  cache.set('k', 'acme', 'small');
  cache.set('k', 'acme', 'x'.repeat(60));
  expect(cache.get('k', 0)).toBeUndefined();
});

test('whatever is kept, no limit is passed', () => {
  const use = fc.record({
    tenant: fc.constantFrom('a', 'b', 'c'),
    key: fc.integer({ min: 0, max: 9 }),
    size: fc.integer({ min: 0, max: 70 }),
  });
  fc.assert(
    fc.property(fc.array(use), (uses) => {
      const cache = make();
      for (const { tenant, key, size } of uses) cache.set(`${tenant}${key}`, tenant, 'x'.repeat(size));
      const bytes = (tenant: string): number =>
        [...Array(10).keys()].reduce(
          (sum, key) => sum + (((cache.get(`${tenant}${key}`, 0)?.output as string) ?? null)?.length + 4 || 0),
          0,
        );
      const all = ['a', 'b', 'c'].map(bytes);
      expect(Math.max(...all)).toBeLessThanOrEqual(60);
      expect(all.reduce((sum, one) => sum + one)).toBeLessThanOrEqual(100);
    }),
  );
});
