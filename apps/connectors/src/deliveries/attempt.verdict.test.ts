import { expect, test } from 'vitest';
import { DestinationTimedOut } from '#libs/http';
import { DeliveryRefused, DeliveryUnavailable } from '../connectors/connector.errors.js';
import { verdictOn } from './attempt.verdict.js';

const retry = { delaysMs: [1_000, 60_000, 3_600_000] };
const down = new DeliveryUnavailable({ status: 503, excerpt: '' }, undefined);
const steady = (): number => 0;

test('each retry waits as long as the schedule of the destination says', () => {
  expect([0, 1, 2].map((used) => verdictOn(down, retry, used, steady).retryInMs)).toEqual([1_000, 60_000, 3_600_000]);
});

test('a destination that names a time is not asked before it', () => {
  const limited = new DeliveryUnavailable({ status: 429, excerpt: '' }, 90_000);
  expect(verdictOn(limited, retry, 0, steady).retryInMs).toBe(90_000);
});

test('when the schedule is over, the delivery is parked', () => {
  expect(verdictOn(new DestinationTimedOut('crm', 100), retry, 3)).toEqual({ state: 'parked', retryInMs: null });
});

test('a schedule that became shorter or longer counts as it is now', () => {
  expect(verdictOn(down, { delaysMs: [5_000] }, 2).state).toBe('parked');
  expect(verdictOn(down, { delaysMs: [1, 2, 3, 4_000] }, 3, steady).retryInMs).toBe(4_000);
});

test.each([new DeliveryRefused({ status: 400, excerpt: '' }), new TypeError('a defect')])('%s is parked at once', (error) =>
  expect(verdictOn(error, retry, 0).state).toBe('parked'),
);
