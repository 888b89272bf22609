import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { bounded } from './number-bounds.js';

it('keeps a number that is allowed, to two decimals', () => {
  expect(bounded(0.123, { type: 'number' })).toBe(0.12);
  expect(bounded(3.6, { type: 'integer' })).toBe(4);
});

it('takes the nearest one that is allowed', () => {
  expect(bounded(7, { type: 'integer', maximum: 5 })).toBe(5);
  expect(bounded(0, { type: 'number', exclusiveMinimum: 0 })).toBe(0.01);
  expect(bounded(8, { type: 'integer', minimum: 1, multipleOf: 5 })).toBe(10);
  expect(bounded(0, { type: 'integer', minimum: 1, multipleOf: 5 })).toBe(5);
});

it('leaves no tail of binary fractions', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1_000 }), (tenths) => {
      expect(String(bounded(tenths / 10, { type: 'number', multipleOf: 0.1 })).length).toBeLessThanOrEqual(5);
    }),
  );
});
