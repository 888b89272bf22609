import { expect, test } from 'vitest';
import { DeliveryRefused, DeliveryTimedOut, DeliveryUnavailable } from '#libs/connectors';
import { stateAfterFailure } from './state-after-attempt.js';

const retry = { delaysMs: [1_000, 60_000, 3_600_000] };
const down = new DeliveryUnavailable({ summary: 'status 503', detail: {} }, 'failing', undefined);
const steady = (): number => 0;

test('each retry waits as long as the schedule of the destination says', () => {
  expect([0, 1, 2].map((used) => stateAfterFailure(down, retry, used, steady).retryInMs)).toEqual([1_000, 60_000, 3_600_000]);
});

test('a destination that names a time is not asked before it', () => {
  const limited = new DeliveryUnavailable({ summary: 'status 429', detail: {} }, 'limited', 90_000);
  expect(stateAfterFailure(limited, retry, 0, steady).retryInMs).toBe(90_000);
});

test('when the schedule is over, the delivery is parked', () => {
  expect(stateAfterFailure(new DeliveryTimedOut(new Error('no response within 100 ms')), retry, 3)).toEqual({
    state: 'parked',
    retryInMs: null,
  });
});

test('a schedule that became shorter or longer counts as it is now', () => {
  expect(stateAfterFailure(down, { delaysMs: [5_000] }, 2).state).toBe('parked');
  expect(stateAfterFailure(down, { delaysMs: [1, 2, 3, 4_000] }, 3, steady).retryInMs).toBe(4_000);
});

test.each([new DeliveryRefused({ summary: 'status 400', detail: {} }), new TypeError('a defect')])('%s is parked at once', (error) =>
  expect(stateAfterFailure(error, retry, 0).state).toBe('parked'),
);
