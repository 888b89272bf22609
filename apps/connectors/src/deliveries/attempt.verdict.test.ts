import { expect, test } from 'vitest';
import { DestinationTimedOut } from '#libs/http';
import { DeliveryRefused, DeliveryUnavailable } from '../connectors/connector.errors.js';
import { verdictOn } from './attempt.verdict.js';

const retry = { retries: 3, initialDelayMs: 1_000, maxDelayMs: 3_000 };
const down = new DeliveryUnavailable({ status: 503, excerpt: '' }, undefined);
const steady = (): number => 0;

test('each retry waits twice as long as the one before, up to the longest delay', () => {
  const delays = [3, 2, 1].map((left) => verdictOn(down, retry, left, steady).retryInMs);
  expect(delays).toEqual([1_000, 2_000, 3_000]);
});

test('jitter takes up to half of the delay', () => {
  expect(verdictOn(down, retry, 3, () => 1)).toEqual({ state: 'pending', retryInMs: 500 });
});

test('a destination that names a time is not asked before it', () => {
  const limited = new DeliveryUnavailable({ status: 429, excerpt: '' }, 90_000);
  expect(verdictOn(limited, retry, 3, steady).retryInMs).toBe(90_000);
});

test('when the retries are spent, the delivery is parked', () => {
  expect(verdictOn(new DestinationTimedOut('crm', 100), retry, 0)).toEqual({ state: 'parked', retryInMs: null });
});

test.each([new DeliveryRefused({ status: 400, excerpt: '' }), new TypeError('a defect')])('%s is parked at once', (error) =>
  expect(verdictOn(error, retry, 3).state).toBe('parked'),
);

test('a budget from before the document was changed starts at the first delay', () => {
  expect(verdictOn(down, retry, 9, steady).retryInMs).toBe(1_000);
});
