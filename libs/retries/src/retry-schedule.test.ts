import { expect, test } from 'vitest';
import { scheduledDelay } from './retry-schedule.js';

const delaysMs = [5_000, 300_000];

test('each retry waits for its own delay, and after the last there is none', () => {
  expect([1, 2, 3].map((retry) => scheduledDelay(delaysMs, retry, { random: () => 0 }))).toEqual([5_000, 300_000, undefined]);
});

test('jitter lengthens a delay by up to a fifth', () => {
  expect(scheduledDelay(delaysMs, 1, { random: () => 1 })).toBe(6_000);
});

test('nobody comes back before the time that the other side named', () => {
  expect(scheduledDelay(delaysMs, 1, { retryAfterMs: 90_000, random: () => 0 })).toBe(90_000);
  expect(scheduledDelay(delaysMs, 2, { retryAfterMs: 90_000, random: () => 0 })).toBe(300_000);
  expect(scheduledDelay(delaysMs, 1, { retryAfterMs: 31_536_000_000, random: () => 0 })).toBe(86_400_000);
});
