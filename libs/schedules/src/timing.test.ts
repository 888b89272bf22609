import { describe, expect, test } from 'vitest';
import { Timing, timingProblem } from './timing.js';

const iso = (ms: number): string => new Date(ms).toISOString().replace(':00.000Z', 'Z');
const ticks = (cron: string, timeZone: string, from: string, most: number): string[] =>
  new Timing({ cron, timeZone }).following(Date.parse(from), most).map(iso);

describe('when the clocks change', () => {
  test('a time that New York leaves out comes when its clocks have changed, once', () => {
    expect(ticks('30 2 * * *', 'America/New_York', '2026-03-07T12:00Z', 2)).toEqual(['2026-03-08T07:00Z', '2026-03-09T06:30Z']);
    expect(ticks('30 2,14 * * *', 'America/New_York', '2026-03-07T20:00Z', 3)).toEqual([
      '2026-03-08T07:00Z',
      '2026-03-08T18:30Z',
      '2026-03-09T06:30Z',
    ]);
  });

  test('a time that comes twice in New York is taken the first time', () => {
    expect(ticks('30 1 * * *', 'America/New_York', '2026-10-31T12:00Z', 2)).toEqual(['2026-11-01T05:30Z', '2026-11-02T06:30Z']);
  });

  test('a field with a step or a star counts the hours as they pass', () => {
    expect(ticks('*/30 1 * * *', 'America/New_York', '2026-11-01T04:00Z', 4)).toEqual([
      '2026-11-01T05:00Z',
      '2026-11-01T05:30Z',
      '2026-11-01T06:00Z',
      '2026-11-01T06:30Z',
    ]);
    expect(ticks('0 * * * *', 'America/New_York', '2026-03-08T05:30Z', 3)).toEqual([
      '2026-03-08T06:00Z',
      '2026-03-08T07:00Z',
      '2026-03-08T08:00Z',
    ]);
  });

  test('on Lord Howe, where they change by half an hour, no day is left out and none comes twice', () => {
    expect(ticks('15 2 * * *', 'Australia/Lord_Howe', '2026-10-02T12:00Z', 3)).toEqual([
      '2026-10-02T15:45Z',
      '2026-10-03T15:30Z', // 02:15 does not exist; 02:30 does
      '2026-10-04T15:15Z',
    ]);
    expect(ticks('45 1 * * *', 'Australia/Lord_Howe', '2026-04-03T12:00Z', 3)).toEqual([
      '2026-04-03T14:45Z',
      '2026-04-04T14:45Z', // the first of two
      '2026-04-05T15:15Z',
    ]);
  });
});

test('ticks lie from startsAt on and before endsAt', () => {
  const timing = new Timing({ cron: '0 12 * * *', timeZone: 'UTC', startsAt: '2026-05-01T12:00:00Z', endsAt: '2026-05-03T12:00:00Z' });
  expect(timing.following(0, 10).map(iso)).toEqual(['2026-05-01T12:00Z', '2026-05-02T12:00Z']);
  expect(timing.after(Date.parse('2026-05-02T12:00Z'))).toBeUndefined();
});

test('the last ticks of a span are the last of all its ticks', () => {
  for (const cron of ['* * * * * *', '*/7 * * * *', '0 3 * * MON-FRI', '0 0 1 1 *']) {
    const timing = new Timing({ cron, timeZone: 'Europe/Berlin' });
    const until = Date.parse('2026-03-29T04:30Z');
    for (const from of ['2026-03-29T04:28:30Z', '2026-03-29T04:15:00Z'].map((text) => Date.parse(text))) {
      const all = timing.following(from, Infinity, until);
      expect(timing.lastWithin(from, until, 50)).toEqual(all.slice(-50));
    }
  }
  const daily = new Timing({ cron: '0 3 * * *', timeZone: 'Europe/Berlin' });
  const from = Date.parse('2025-01-01T00:00Z');
  expect(daily.lastWithin(from, Date.parse('2026-01-01T00:00Z'), 2).map(iso)).toEqual(['2025-12-30T02:00Z', '2025-12-31T02:00Z']);
});

test.each([
  ['30 2 * * *', 'Europe/Berlin', undefined],
  ['0 30 2 * * *', 'UTC', undefined],
  ['0 0 L * *', 'UTC', undefined],
  ['0 9 * * FRI#2', 'UTC', undefined],
  ['0 0 30 2 *', 'UTC', 'cron: never comes: no date fits 0 0 30 2 *; change its day or month'],
  ['0 0 31 4,6 *', 'UTC', 'cron: never comes: no date fits 0 0 31 4,6 *; change its day or month'],
  ['61 * * * *', 'UTC', 'cron: cannot be read: Invalid value for minute: 61'],
  ['* * * *', 'UTC', 'cron: must be five fields (minute, hour, day, month, weekday), or six with seconds first; it has 4'],
  ['@daily', 'UTC', 'cron: must be five fields, or six with seconds first; a name such as @daily is not read'],
  ['? * * * *', 'UTC', 'cron: must not contain ?, which stands for the moment at which it is read; write * or a value'],
  ['* * * * *', 'Europe/Berln', 'timeZone: is no time zone of the IANA database: Europe/Berln; write a name such as Europe/Berlin or UTC'],
  ['* * * * *', '+01:00', 'timeZone: is no time zone of the IANA database: +01:00; write a name such as Europe/Berlin or UTC'],
])('%s in %s', (cron, timeZone, expected) => {
  const problem = timingProblem({ cron, timeZone });
  expect(problem && `${problem.field}: ${problem.message}`).toBe(expected);
});

test('a schedule between whose bounds no tick lies is refused, and one that has ended is not', () => {
  const daily = { cron: '0 12 * * *', timeZone: 'UTC' };
  expect(timingProblem({ ...daily, startsAt: '2026-05-01T13:00:00Z', endsAt: '2026-05-02T11:00:00Z' })).toEqual({
    field: 'endsAt',
    message: 'leaves no tick: none lies between startsAt and endsAt',
  });
  expect(timingProblem({ ...daily, endsAt: '2010-01-01T00:00:00Z' })).toBeUndefined();
});
