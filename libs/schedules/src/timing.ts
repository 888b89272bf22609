import { Cron } from 'croner';
import { messageOf } from '#libs/contracts';
import type { ScheduleSpec } from '#libs/contracts';

/** The part of a Schedule that decides when its ticks come. */
export type TimingSpec = Pick<ScheduleSpec, 'cron' | 'timeZone' | 'startsAt' | 'endsAt'>;

/** A field of a Schedule that cannot be used, and why. */
export interface TimingProblem {
  readonly field: 'cron' | 'timeZone' | 'endsAt';
  readonly message: string;
}

/** Before every tick that anybody could mean. */
const longAgoMs = Date.UTC(2000, 0, 1);

/** The first length of the span at whose end `lastWithin` looks for ticks, ms. */
const firstSpanMs = 100_000;

/**
 * The ticks of a schedule, as instants in ms since 1970. A time of the day that a change of the clocks leaves out comes when the clocks have changed, and
 * one that comes twice is taken the first time; a field with `*` or a step counts hours as they pass instead.
 */
export class Timing {
  private readonly cron: Cron;

  /** @throws RangeError, TypeError where {@link timingProblem} names a problem of cron or time zone */
  constructor({ cron, timeZone, startsAt, endsAt }: TimingSpec) {
    this.cron = new Cron(cron, {
      mode: '5-or-6-parts',
      fixedTimeRule: 'no-wildcard',
      timezone: timeZone,
      paused: true,
      ...(startsAt === undefined ? {} : { startAt: new Date(startsAt) }),
      ...(endsAt === undefined ? {} : { stopAt: new Date(endsAt) }),
    });
  }

  /** The first tick after an instant; undefined if there is none. */
  after(ms: number): number | undefined {
    return this.cron.nextRun(new Date(ms))?.getTime();
  }

  /** The first ticks after an instant, in order, and none after `untilMs`. */
  following(ms: number, most: number, untilMs = Infinity): number[] {
    const ticks: number[] = [];
    for (let tick = this.after(ms); tick !== undefined && tick <= untilMs && ticks.length < most; tick = this.after(tick)) ticks.push(tick);
    return ticks;
  }

  /** The last ticks that are after `afterMs` and not after `untilMs`, in order. */
  lastWithin(afterMs: number, untilMs: number, most: number): number[] {
    for (let spanMs = firstSpanMs; ; spanMs *= 4) {
      const fromMs = Math.max(afterMs, untilMs - spanMs);
      const ticks = this.following(fromMs, Infinity, untilMs);
      if (ticks.length >= most || fromMs === afterMs) return ticks.slice(-most);
    }
  }
}

/** How many ticks are shown ahead. */
const shownAhead = 5;

/** The next ticks of a schedule, to be shown. */
export function nextFires(spec: TimingSpec, afterMs: number): Date[] {
  return new Timing(spec).following(afterMs, shownAhead).map((tick) => new Date(tick));
}

/** The reason for which a schedule could never fire; undefined if it can, or could in the past. */
export function timingProblem(spec: TimingSpec): TimingProblem | undefined {
  if (!isTimeZone(spec.timeZone)) {
    return {
      field: 'timeZone',
      message: `is no time zone of the IANA database: ${spec.timeZone}; write a name such as Europe/Berlin or UTC`,
    };
  }
  const shape = shapeProblem(spec.cron);
  if (shape !== undefined) return { field: 'cron', message: shape };
  try {
    const { cron, timeZone } = spec;
    if (new Timing({ cron, timeZone }).after(longAgoMs) === undefined) {
      return { field: 'cron', message: `never comes: no date fits ${cron}; change its day or month` };
    }
    if (new Timing(spec).after(longAgoMs) === undefined) {
      return { field: 'endsAt', message: 'leaves no tick: none lies between startsAt and endsAt' };
    }
    return undefined;
  } catch (error) {
    return { field: 'cron', message: `cannot be read: ${messageOf(error).replace(/^CronPattern: /, '')}` };
  }
}

/** Forms that the parser takes, and that would mean something else in each process or release. */
function shapeProblem(cron: string): string | undefined {
  const fields = cron.trim().split(/\s+/).length;
  if (cron.includes('@')) return `must be five fields, or six with seconds first; a name such as ${cron} is not read`;
  if (fields !== 5 && fields !== 6)
    return `must be five fields (minute, hour, day, month, weekday), or six with seconds first; it has ${fields}`;
  return cron.includes('?') ? 'must not contain ?, which stands for the moment at which it is read; write * or a value' : undefined;
}

/** Offsets such as `+01:00` are none: they know no change of the clocks. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
