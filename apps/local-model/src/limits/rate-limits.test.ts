import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RateLimits, duration } from './rate-limits.js';

let now: number;
const limits = (requestsPerMinute: number, tokensPerMinute: number) => new RateLimits({ requestsPerMinute, tokensPerMinute }, () => now);
beforeEach(() => {
  now = 0;
});

afterEach(() => void vi.useRealTimers());

describe('the rate limits', () => {
  it('refill although the clock of the day stepped back by two hours', () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    const one = new RateLimits({ requestsPerMinute: 1, tokensPerMinute: 1_000 });
    one.admit(1);
    vi.setSystemTime(Date.now() - 7_200_000);
    vi.advanceTimersByTime(60_000);
    expect(() => one.admit(1)).not.toThrow();
  });

  it('turn a request away when requests are spent, and say when to come back', () => {
    const two = limits(2, 1_000);
    two.admit(1);
    two.admit(1);
    expect(() => two.admit(1)).toThrow(
      expect.objectContaining({ status: 429, code: 'rate_limit_exceeded', headers: { 'retry-after': '30', 'retry-after-ms': '30000' } }),
    );
    now += 30_000;
    expect(() => two.admit(1)).not.toThrow();
  });

  it('turn a request away when tokens are spent, output included', () => {
    const few = limits(100, 60);
    few.admit(20);
    few.settle(40);
    expect(() => few.admit(10)).toThrow('60 tokens per minute');
  });

  it('cost a request that is turned away nothing', () => {
    const one = limits(1, 1_000);
    one.admit(1);
    for (let time = 0; time < 10; time += 1) expect(() => one.admit(1)).toThrow('1 requests per minute');
    now += 60_000;
    expect(() => one.admit(1)).not.toThrow();
  });

  it('stand in the headers', () => {
    const some = limits(60, 6_000);
    some.admit(100);
    expect(some.headers()).toEqual({
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '6000',
      'x-ratelimit-remaining-tokens': '5900',
      'x-ratelimit-reset-tokens': '1s',
    });
  });

  it.each([
    [12, '12ms'],
    [7_660, '7.66s'],
    [63_000, '1m3s'],
  ])('write %i ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});
