import { afterEach, describe, expect, it, vi } from 'vitest';
import { Stopwatch, latencyMs, wallTime, wallTimeMs } from './wall-clock.js';

const hour = 3_600_000;

afterEach(() => void vi.useRealTimers());

describe('a stopwatch', () => {
  it.each([
    ['forward', hour],
    ['back', -hour],
  ])('says how long it took although the wall clock steps %s', (_, stepMs) => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 29, 12) });
    let nowMs = 5;
    const watch = new Stopwatch(() => nowMs);
    vi.setSystemTime(wallTimeMs() + stepMs);
    nowMs += 250.4;
    const { startedAt, finishedAt, durationMs } = watch.stop();
    expect(durationMs).toBeCloseTo(250.4);
    expect([startedAt.toISOString(), finishedAt.toISOString()]).toEqual(['2026-11-29T12:00:00.000Z', '2026-11-29T12:00:00.250Z']);
  });

  it('says the time of the wall clock at its end, so that what ended first stands first', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 100 });
    let nowMs = 100;
    const first = new Stopwatch(() => nowMs);
    nowMs = 110.6; // 110 by a clock of whole milliseconds, 111 if the duration is rounded
    vi.setSystemTime(110);
    const { finishedAt } = first.stop();
    const second = new Stopwatch(() => nowMs);
    nowMs = 110.7;
    expect(finishedAt.getTime()).toBe(110);
    expect(second.stop().finishedAt.getTime()).toBe(110);
  });

  it('takes the monotonic clock by itself', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const watch = new Stopwatch();
    vi.advanceTimersByTime(40);
    expect(watch.stop().durationMs).toBe(40);
  });
});

it('the wall time is the time that the machine tells', () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 });
  expect([wallTimeMs(), wallTime().toISOString()]).toEqual([1_700_000_000_000, '2023-11-14T22:13:20.000Z']);
});

it('a latency is never below zero', () => {
  expect([latencyMs(10, 25), latencyMs(25, 10)]).toEqual([15, 0]);
});
