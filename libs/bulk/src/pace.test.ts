import { expect, test } from 'vitest';
import { Pace } from './pace.js';

/** A clock that is as late as the test says and otherwise at once where it is sent. */
function clockAt(start: number) {
  const clock = {
    time: start,
    now: () => clock.time,
    sleep: async (ms: number) => {
      clock.time += ms;
    },
  };
  return clock;
}
const signal = new AbortController().signal;

test('so many pass in a second, the first at once', async () => {
  const clock = clockAt(5_000);
  const pace = new Pace(50, clock);
  for (let wave = 0; wave < 100; wave += 1) await pace.pass(5, signal);
  expect(clock.time).toBeCloseTo(5_000 + (99 * 5 * 1_000) / 50);
});

test('time in which the log was away is not made up for', async () => {
  const clock = clockAt(0);
  const pace = new Pace(10, clock);
  await pace.pass(1, signal);
  clock.time = 60_000;
  for (let item = 0; item < 11; item += 1) await pace.pass(1, signal);
  expect(clock.time).toBeCloseTo(61_000);
});

test('nothing passes after an abort', async () => {
  const pace = new Pace(10, clockAt(0));
  await expect(pace.pass(1, AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
});
