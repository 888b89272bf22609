import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { longestPauseMs, parseRetryAfter } from './retry-after.js';

const now = Date.UTC(2026, 10, 21, 12, 0, 0);

describe('parseRetryAfter', () => {
  it('reads whole seconds', () => {
    expect(parseRetryAfter('120', now)).toBe(120_000);
    expect(parseRetryAfter(' 0 ', now)).toBe(0);
  });

  it('reads each of the three forms of an HTTP date', () => {
    expect(parseRetryAfter('Sat, 21 Nov 2026 12:00:30 GMT', now)).toBe(30_000);
    expect(parseRetryAfter('Saturday, 21-Nov-26 12:00:30 GMT', now)).toBe(30_000);
    expect(parseRetryAfter('Sat Nov 21 12:00:30 2026', now)).toBe(30_000);
  });

  it('takes a two-digit year that would be more than 50 years ahead for one of the century before', () => {
    expect(parseRetryAfter('Sunday, 06-Nov-94 08:49:37 GMT', now)).toBe(0);
  });

  it('asks for no wait where the date has passed', () => {
    expect(parseRetryAfter('Sun, 06 Nov 1994 08:49:37 GMT', now)).toBe(0);
  });

  it.each(['86401', '3000000', '31536000', '999999999', 'Fri, 31 Dec 9999 23:59:59 GMT'])('cuts %s to a day', (value) => {
    expect(parseRetryAfter(value, now)).toBe(longestPauseMs);
  });

  it.each([
    [null],
    [undefined],
    [''],
    ['-5'],
    ['1.5'],
    ['2026'.repeat(4)],
    ['soon'],
    ['2026-11-21T12:00:30Z'],
    ['Sat, 41 Nov 2026 12:00:30 GMT'],
    ['Sat, 21 Foo 2026 12:00:30 GMT'],
  ])('says nothing about %j', (value) => {
    expect(parseRetryAfter(value, now)).toBeUndefined();
  });

  it('reads back every date that JavaScript prints', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (second) => {
        const at = second * 1_000;
        expect(parseRetryAfter(new Date(at).toUTCString(), at - 60_000)).toBe(60_000);
      }),
    );
  });

  it('never throws and never yields a negative or broken wait, whatever a server sends', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const ms = parseRetryAfter(value, now);
        expect(ms === undefined || (ms >= 0 && ms <= longestPauseMs)).toBe(true);
      }),
    );
  });
});
