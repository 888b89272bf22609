import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BulkItem } from './bulk-progress.table.js';
import { waves } from './waves.js';

const items = fc
  .array(fc.constantFrom('a', 'b', 'c', 'd', 'e'))
  .map((customers) =>
    customers.map((customer, place): BulkItem => ({ at: '', place, key: `${place}`, subject: '', flow: null, customer })),
  );

test('waves keep the order, lose nothing, and have no customer twice', () => {
  fc.assert(
    fc.property(items, fc.integer({ min: 1, max: 10 }), (all, atMost) => {
      const made = [...waves(all, atMost)];
      expect(made.flat()).toEqual(all);
      for (const wave of made) {
        expect(wave.length).toBeGreaterThan(0);
        expect(wave.length).toBeLessThanOrEqual(atMost);
        expect(new Set(wave.map(({ customer }) => customer)).size).toBe(wave.length);
      }
    }),
  );
});
