import { expect, test } from 'vitest';
import { limitsIn } from './rate-limit-headers.js';

const read = (headers: Record<string, string>) => limitsIn(new Headers(headers));

test('limits, what is left of them and when they are whole again are read', () => {
  expect(
    read({
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '6m0s',
    }),
  ).toEqual({
    requestsPerMinute: 60,
    tokensPerMinute: 150_000,
    requestsLeft: { units: 59, resetMs: 1_000 },
    tokensLeft: { units: 0, resetMs: 360_000 },
  });
});

test.each([
  ['12ms', 12],
  ['7.66s', 7_660],
  ['1m3s', 63_000],
  ['2h1m0.5s', 7_260_500],
  ['10', 10_000],
  ['soon', undefined],
  ['1m 3s', undefined],
  ['', undefined],
])('the duration %j is %s ms', (text, resetMs) => {
  expect(read({ 'x-ratelimit-remaining-requests': '1', 'x-ratelimit-reset-requests': text })?.requestsLeft).toEqual({ units: 1, resetMs });
});

test('a number that is none says nothing', () => {
  expect(limitsIn(undefined)).toBeUndefined();
  expect(read({})).toBeUndefined();
  expect(
    read({ 'x-ratelimit-limit-requests': '-1', 'x-ratelimit-remaining-requests': '-1', 'x-ratelimit-reset-requests': '1s' }),
  ).toBeUndefined();
  expect(read({ 'x-ratelimit-limit-requests': 'none', 'x-ratelimit-remaining-tokens': '' })).toBeUndefined();
});
