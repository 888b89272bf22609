import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fifo } from './fifo.js';

test('it gives back what an array would, from either end, however pushes, shifts and pops alternate', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1_500, max: 1_500 }), { maxLength: 20 }), (bursts) => {
      const fifo = new Fifo<number>();
      const model: number[] = [];
      let n = 0;
      for (const burst of bursts) {
        for (let at = 0; at < Math.abs(burst); at += 1) {
          if (burst > 0) {
            fifo.push((n += 1));
            model.push(n);
          } else if (at % 5 === 0) {
            expect(fifo.last()).toBe(model.at(-1));
            expect(fifo.pop()).toBe(model.pop());
          } else expect(fifo.shift()).toBe(model.shift());
        }
        expect(fifo.length).toBe(model.length);
        expect(fifo.peek()).toBe(model[0]);
      }
    }),
    { numRuns: 30 },
  );
});
