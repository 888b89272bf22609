import { expect, test } from 'vitest';
import { ProcessorShare } from './processor-share.js';

test('an owner that took more than the burst rests until its share has made up for it, and the others do not', () => {
  let now = 0;
  const share = new ProcessorShare({ share: 0.25, burstMs: 1_000, now: () => now });
  share.spend('greedy', 1_000);
  expect(share.restMs('greedy')).toBe(0);
  share.spend('greedy', 500);
  expect([share.restMs('greedy'), share.restMs('other')]).toEqual([2_000, 0]);
  now = 1_500;
  expect(share.restMs('greedy')).toBe(500);
  now = 2_000;
  expect(share.restMs('greedy')).toBe(0);
  share.spend('greedy', 100);
  expect(share.restMs('greedy')).toBe(400);
  now = 1_000_000;
  share.spend('other', 1); // forgets what was made up for
  share.spend('greedy', 1_000);
  expect(share.restMs('greedy')).toBe(0);
});
