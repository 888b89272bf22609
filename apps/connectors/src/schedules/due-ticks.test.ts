import { expect, test } from 'vitest';
import type { ScheduleSpec } from '#libs/contracts';
import { Timing } from '#libs/schedules';
import { dueAt, dueTicks } from './due-ticks.js';
import type { TickingSchedule } from './due-ticks.js';

const at = (text: string): number => Date.parse(`2026-06-01T${text}Z`);
const times = (ticks: readonly number[] | undefined): string[] => (ticks ?? []).map((tick) => new Date(tick).toISOString().slice(11, 19));

function schedule(cron: string, catchUp: ScheduleSpec['catchUp'] = 'latest', jitterMs = 0): TickingSchedule {
  return { tenant: 'acme', name: 'nightly', spec: { catchUp, jitterMs }, timing: new Timing({ cron, timeZone: 'UTC' }) };
}
const decided = (one: TickingSchedule, firedThrough: number, now: number): object | undefined => {
  const due = dueTicks(one, firedThrough, now);
  return due && { fire: times(due.fire), missed: due.missed, through: times([due.throughMs])[0] };
};

test('a tick is due from its instant on', () => {
  const hourly = schedule('0 * * * *');
  expect(decided(hourly, at('10:00:00'), at('10:59:59.999'))).toBeUndefined();
  expect(decided(hourly, at('10:00:00'), at('11:00:00'))).toEqual({ fire: ['11:00:00'], missed: 0, through: '11:00:00' });
});

test('ticks that are late by less than a minute are all fired, whatever the policy', () => {
  for (const catchUp of ['none', 'latest', 'all'] as const) {
    expect(decided(schedule('*/20 * * * * *', catchUp), at('10:00:00'), at('10:01:00'))).toEqual({
      fire: ['10:00:20', '10:00:40', '10:01:00'],
      missed: 0,
      through: '10:01:00',
    });
  }
});

test.each([
  ['none', [], 3],
  ['latest', ['13:00:00'], 2],
  ['all', ['11:00:00', '12:00:00', '13:00:00'], 0],
] as const)('after a downtime, the policy %s fires %j', (catchUp, fire, missed) => {
  expect(decided(schedule('0 * * * *', catchUp), at('10:00:00'), at('13:30:00'))).toEqual({ fire, missed, through: '13:00:00' });
});

test('a tick that is on time stands for those that were missed', () => {
  expect(decided(schedule('0 * * * *', 'latest'), at('10:00:00'), at('13:00:10'))).toEqual({
    fire: ['13:00:00'],
    missed: 2,
    through: '13:00:00',
  });
});

test('after a long downtime the last 100 ticks are fired, and at most 1 000 are counted', () => {
  const everySecond = schedule('* * * * * *', 'all');
  const due = dueTicks(everySecond, at('01:00:00'), at('13:00:00'))!;
  expect(times([due.fire[0]!, due.fire.at(-1)!])).toEqual(['12:58:21', '13:00:00']);
  expect([due.fire.length, due.missed, due.throughMs]).toEqual([100, 900, at('13:00:00')]);
  const few = dueTicks(schedule('* * * * *', 'all'), at('01:00:00'), at('04:00:30'))!;
  expect([few.fire.length, few.missed]).toEqual([100, 80]);
});

test('a tick waits for its own delay and for those before it, and that makes it no late one', () => {
  const delayed = schedule('* * * * *', 'none', 3_600_000);
  const fired: number[] = [];
  let through = at('10:00:00');
  for (let now = at('10:00:00'); now < at('13:00:00'); now += 20_000) {
    const due = dueTicks(delayed, through, now);
    if (due === undefined) continue;
    expect(due.missed).toBe(0);
    for (const tick of due.fire) expect(dueAt(delayed, tick)).toBeLessThanOrEqual(now);
    fired.push(...due.fire);
    through = due.throughMs;
  }
  expect(fired.length).toBeGreaterThan(100);
  expect(fired).toEqual(Array.from({ length: fired.length }, (_, n) => at('10:01:00') + n * 60_000));
});
