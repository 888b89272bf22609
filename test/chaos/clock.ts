import type { PromiseViolation } from './checker.js';
import { chaosTenant } from './documents.js';
import { readRows } from './rows.js';

/** The schedule of a run, which ticks every second while faults are injected, and the flow that runs on its ticks. */
const clock = 'clock';
const counting = 'counting';
/** The first tick comes when its document is applied. */
const beginsAfterMs = 5_000;
const everyMs = 1_000;

/** The first tick, and the end, at which no tick comes. */
export interface ClockSpan {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A tick as Postgres has it: its instant, and how many completed runs its event has. */
export interface StoredTick {
  readonly atMs: number;
  readonly completedRuns: number;
}

export function clockSpan(nowMs: number, minutes: number): ClockSpan {
  const fromMs = Math.ceil((nowMs + beginsAfterMs) / everyMs) * everyMs;
  return { fromMs, untilMs: fromMs + Math.ceil(minutes * 60) * everyMs };
}

export function clockDocuments({ fromMs, untilMs }: ClockSpan): object[] {
  const of = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'millrace/v1',
    kind,
    metadata: { tenant: chaosTenant, name },
    spec,
  });
  const bounds = { startsAt: new Date(fromMs).toISOString(), endsAt: new Date(untilMs).toISOString() };
  return [
    of('Schedule', clock, { cron: '* * * * * *', timeZone: 'UTC', event: { type: 'clock.ticked' }, catchUp: 'all', ...bounds }),
    of('Flow', counting, { on: { sources: [clock] }, steps: [{ id: 'note', map: { expression: 'event.occurredAt' } }] }),
  ];
}

export function readTicks(databaseUrl: string): Promise<StoredTick[]> {
  return readRows(
    databaseUrl,
    `SELECT (extract(epoch FROM occurred_at) * 1000)::float8 AS "atMs",
       (SELECT count(*)::float8 FROM run WHERE run.tenant_id = event.tenant_id AND run.event_id = event.id AND state = 'completed') AS "completedRuns"
     FROM event WHERE tenant_id = $1 AND source = $2 ORDER BY occurred_at`,
    [chaosTenant, clock],
  );
}

/** Every second of the span is one event with one completed run. */
export function checkTicks({ fromMs, untilMs }: ClockSpan, ticks: readonly StoredTick[]): PromiseViolation[] {
  const stored = Map.groupBy(ticks, ({ atMs }) => atMs);
  const expected = Array.from({ length: (untilMs - fromMs) / everyMs }, (_, at) => fromMs + at * everyMs);
  const named = (atMs: number): string => `tick ${new Date(atMs).toISOString()}`;
  return [
    ...expected.flatMap((atMs): PromiseViolation[] => {
      const [first, ...others] = stored.get(atMs) ?? [];
      if (first === undefined) return [{ kind: 'lost', ticket: named(atMs), what: 'a tick of the schedule is no event in Postgres' }];
      if (others.length > 0) return [{ kind: 'second effect', ticket: named(atMs), what: 'a tick of the schedule is two events' }];
      if (first.completedRuns === 1) return [];
      const [kind, what] = first.completedRuns === 0 ? (['lost', 'no run'] as const) : (['second effect', 'more than one run'] as const);
      return [{ kind, ticket: named(atMs), what: `${what} of the event of a tick is completed` }];
    }),
    ...[...stored.keys()]
      .filter((atMs) => !expected.includes(atMs))
      .map((atMs) => ({ kind: 'phantom' as const, ticket: named(atMs), what: 'there is an event of a tick that is none' })),
  ];
}
