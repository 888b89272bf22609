import { expect, test } from 'vitest';
import { standardBreaker } from '#libs/retries';
import { afterAttempt, goodHealth } from './health.js';
import type { Health, Observation } from './health.js';

const rules = { ...standardBreaker, jitter: 0 };
const down: Observation = { peer: 'unreachable', durationMs: 0, pauseMs: undefined, reason: 'delivery.timeout' };
const limited = (pauseMs: number): Observation => ({ ...down, peer: 'limited', pauseMs, reason: 'delivery.unavailable' });
const after = (health: Health, observations: readonly Observation[], nowMs: number): Health =>
  observations.reduce((one, observation) => afterAttempt(one, observation, nowMs, rules), health);
const five = Array.from({ length: 5 }, () => down);

test('an outage is open since its first opening, whatever its probes find', () => {
  const opened = after(goodHealth, five, 1_000);
  expect(opened.open).toEqual({ sinceMs: 1_000, untilMs: 6_000, reason: 'delivery.timeout' });
  const reopened = after(opened, [down], 7_000);
  expect(reopened.open).toEqual({ sinceMs: 1_000, untilMs: 17_000, reason: 'delivery.timeout' });
  const answered = { ...down, peer: 'up' as const };
  expect(after(reopened, [answered, answered], 18_000).open).toBeNull();
});

test('of the pauses that a destination asks for, the longest counts', () => {
  const health = after(goodHealth, [limited(30_000), limited(5_000)], 1_000);
  expect(health.limited).toEqual({ sinceMs: 1_000, untilMs: 31_000, reason: 'delivery.unavailable' });
  expect(after(health, [limited(60_000)], 2_000).limited).toMatchObject({ sinceMs: 1_000, untilMs: 62_000 });
  expect(after(health, [limited(60_000)], 40_000).limited).toMatchObject({ sinceMs: 40_000 });
});

test('a rate limit is no failure, and a destination that is gone is disabled from its first 410', () => {
  const health = after(
    goodHealth,
    Array.from({ length: 30 }, () => limited(10)),
    0,
  );
  expect(health.open).toBeNull();
  const gone = { ...down, peer: 'gone' as const, reason: 'delivery.destinationDisabled' };
  expect(after(after(health, [gone], 500), [gone], 900).disabled).toEqual({ sinceMs: 500, reason: 'delivery.destinationDisabled' });
});

const opensAfter = (peer: Observation['peer'], count: number): boolean =>
  after(
    goodHealth,
    Array.from({ length: count }, () => ({ ...down, peer })),
    1_000,
  ).open !== null;

test('a refused credential opens the breaker at once, silence after five attempts, failures by their share', () => {
  expect(opensAfter('unauthorized', 1)).toBe(true);
  expect([opensAfter('unreachable', 4), opensAfter('unreachable', 5)]).toEqual([false, true]);
  expect([opensAfter('failing', 19), opensAfter('failing', 20)]).toEqual([false, true]);
});

test.each(['up', 'gone', 'limited', 'unknown'] as const)('%s opens no breaker', (peer) => expect(opensAfter(peer, 100)).toBe(false));

test.each([
  ['up', true],
  ['gone', true],
  ['limited', false],
  ['unknown', false],
] as const)('probes that find the destination %s close the breaker: %s', (peer, closes) => {
  const probe = { ...down, peer };
  expect(after(after(goodHealth, five, 1_000), [probe, probe], 7_000).open === null).toBe(closes);
});
