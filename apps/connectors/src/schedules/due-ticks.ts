import { mostTicksMadeUpFor } from '#libs/contracts';
import type { ScheduleSpec } from '#libs/contracts';
import { jitterOf } from '#libs/schedules';
import type { Timing } from '#libs/schedules';

/** A tick that nobody fired within this time of its delay is missed. */
export const onTimeWithinMs = 60_000;
/** The most ticks of one downtime that are counted as missed: looking for further ones would take long. */
const mostCounted = 1_000;

/** A schedule, as far as it decides when it fires. */
export interface TickingSchedule {
  readonly tenant: string;
  readonly name: string;
  readonly spec: Pick<ScheduleSpec, 'catchUp' | 'jitterMs'>;
  readonly timing: Timing;
}

/** The ticks until now, and what is to be done about them. */
export interface DueTicks {
  /** The ticks to fire, in order. */
  readonly fire: readonly number[];
  /** How many are left out; at most 1 000 are counted. */
  readonly missed: number;
  /** The last tick that is due. */
  readonly throughMs: number;
}

/** When a tick is fired: its instant and its delay. */
export function dueAt({ tenant, name, spec }: TickingSchedule, tickMs: number): number {
  return tickMs + jitterOf({ tenant, schedule: name, atMs: tickMs }, spec.jitterMs);
}

/**
 * The ticks after `firedThroughMs` that are due, and which of them are fired; undefined if none is due. They are fired in order, so a tick also waits for
 * the delays of those before it.
 */
export function dueTicks(schedule: TickingSchedule, firedThroughMs: number, nowMs: number): DueTicks | undefined {
  const { spec } = schedule;
  const due = dueTurns(schedule, firedThroughMs, nowMs);
  if (due.length === 0) return undefined;
  const last = due.length < mostCounted ? due.slice(-mostTicksMadeUpFor) : newest(schedule, firedThroughMs, nowMs);
  const onTime = last.filter(({ turnMs }) => nowMs - turnMs <= onTimeWithinMs);
  const fire = spec.catchUp === 'all' ? last : onTime.length === 0 && spec.catchUp === 'latest' ? last.slice(-1) : onTime;
  return { fire: fire.map(({ tickMs }) => tickMs), missed: due.length - fire.length, throughMs: last.at(-1)!.tickMs };
}

interface Turn {
  readonly tickMs: number;
  /** When its delay and those of the ticks before it are over. */
  readonly turnMs: number;
}

function dueTurns(schedule: TickingSchedule, firedThroughMs: number, nowMs: number): Turn[] {
  const due: Turn[] = [];
  const { timing } = schedule;
  let turnMs = -Infinity;
  for (let tickMs = timing.after(firedThroughMs); tickMs !== undefined && due.length < mostCounted; tickMs = timing.after(tickMs)) {
    turnMs = Math.max(turnMs, dueAt(schedule, tickMs));
    if (turnMs > nowMs) break;
    due.push({ tickMs, turnMs });
  }
  return due;
}

/** The newest ticks after a long downtime, some of which come after those that were counted. */
function newest(schedule: TickingSchedule, firedThroughMs: number, nowMs: number): Turn[] {
  const ticks = schedule.timing.lastWithin(firedThroughMs, nowMs - schedule.spec.jitterMs, mostTicksMadeUpFor);
  return ticks.map((tickMs) => ({ tickMs, turnMs: dueAt(schedule, tickMs) }));
}
