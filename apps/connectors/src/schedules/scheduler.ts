import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { messageOf } from '#libs/contracts';
import type { ScheduleDocument, ScheduleSpec } from '#libs/contracts';
import { EventAppender } from '#libs/intake';
import { LogUnavailable } from '#libs/messaging';
import { Configuration, StorageUnavailable } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { Timing, tickEventId } from '#libs/schedules';
import { sleep, wallTimeMs } from '#libs/time';
import { SpanKind, counter, currentTraceparent, gauge, histogram, inSpan, logger, traceIdOf, workDone } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { dueAt, dueTicks } from './due-ticks.js';
import type { DueTicks, TickingSchedule } from './due-ticks.js';
import { scheduleEvent, scheduleScheme } from './schedule.event.js';
import { ScheduleProgressTable } from './schedule-progress.table.js';
import type { ScheduleClaim, ScheduleVersion } from './schedule-progress.table.js';

export interface SchedulerOptions {
  /** The length of a claim, ms. Default 15 000. */
  readonly leaseMs?: number;
  /** The clock of the day. Default: that of the process. */
  readonly nowMs?: () => number;
}

/** A schedule as this process knows it. */
interface KnownSchedule extends TickingSchedule, ScheduleVersion {
  readonly stored: Stored<ScheduleDocument>;
  readonly spec: ScheduleSpec;
  /** The next tick that nobody has fired, as far as is known; undefined if there is none. */
  tickMs: number | undefined;
  /** When this process looks at it next. Later than the tick's time after a failure, or while another process holds the claim. */
  lookAtMs: number;
}

/** The longest time between two looks, ms: the clock of the day may step. */
const longestSleepMs = 30_000;
const tryAgainAfterMs = 1_000;
const forgetEveryMs = 3_600_000;
/** Schedules that are fired at once, by one process. */
const atOnce = 16;

const lag = histogram(
  'millrace_schedule_lag_seconds',
  'From the time at which a tick is due, its jitter included, until the log has its event.',
  {},
);
const ticksOf = counter(
  'millrace_schedule_ticks_total',
  'Ticks of schedules: fired, or missed, which means left out by the policy of the schedule after a downtime.',
  {
    outcome: ['fired', 'missed'],
  },
);
const started = new Set<Scheduler>();
gauge(
  'millrace_schedule_overdue_seconds',
  'How long the tick that waits longest has been due, as far as the process knows; 0 if none waits.',
  {},
  (overdue) => {
    if (started.size > 0) overdue.set(Math.max(...[...started].map((each) => each.overdueMs)) / 1_000);
  },
);
const log = logger('schedules');

/**
 * Fires the ticks of all schedules. Every process does: the event of a tick has the same id in each, so a tick that two of them fire is one event, and a
 * claim in Postgres only saves the second one the work. A tick is noted after the log has its event, so one whose process ends in between is fired again.
 */
export class Scheduler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly known = new Map<string, KnownSchedule>();
  private readonly stopping = new AbortController();
  private woken = new AbortController();
  private readonly forgetting: Periodically;
  private readonly leaseMs: number;
  private readonly nowMs: () => number;
  private unsubscribe: (() => void) | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly configuration: Pick<Configuration, 'schedules' | 'ready' | 'onRead'>,
    private readonly table: ScheduleProgressTable,
    private readonly appender: EventAppender,
    { leaseMs = 15_000, nowMs = wallTimeMs }: SchedulerOptions = {},
  ) {
    this.leaseMs = leaseMs;
    this.nowMs = nowMs;
    this.forgetting = new Periodically('forgetting removed schedules', forgetEveryMs, () => this.table.forgetRemoved());
  }

  onApplicationBootstrap(): void {
    started.add(this);
    this.unsubscribe = this.configuration.onRead(() => this.woken.abort());
    this.forgetting.start();
    this.running = this.run();
  }

  /** Waits for the ticks under way. */
  async beforeApplicationShutdown(): Promise<void> {
    started.delete(this);
    this.unsubscribe?.();
    this.stopping.abort();
    await this.forgetting.stop();
    await this.running;
  }

  /** How long the tick that waits longest has been due. */
  get overdueMs(): number {
    const nowMs = this.nowMs();
    const waits = [...this.known.values()].map((one) => (one.tickMs === undefined ? 0 : nowMs - dueAt(one, one.tickMs)));
    return Math.max(0, ...waits);
  }

  /** Fires what is due. @returns how long nothing will be due, ms */
  async pass(): Promise<number> {
    await this.learn();
    const due = shuffled([...this.known.values()].filter(({ lookAtMs }) => lookAtMs <= this.nowMs()));
    const worker = async (): Promise<void> => {
      for (let one = due.pop(); one !== undefined && !this.stopping.signal.aborted; one = due.pop()) await this.look(one);
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, due.length) }, worker));
    const next = Math.min(...[...this.known.values()].map(({ lookAtMs }) => lookAtMs));
    return Math.max(0, Math.min(next - this.nowMs(), longestSleepMs));
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      this.woken = new AbortController();
      const restMs = await this.pass().catch((error: unknown) => {
        report(error, {});
        return tryAgainAfterMs;
      });
      await sleep(restMs, AbortSignal.any([signal, this.woken.signal])).catch(() => undefined);
    }
  }

  /** Takes over the documents that are new, and forgets those that are gone. @throws StorageUnavailable */
  private async learn(): Promise<void> {
    if (!this.configuration.ready()) return;
    const documents = new Map(this.configuration.schedules().map((stored) => [`${stored.tenant}/${stored.name}`, stored]));
    for (const key of this.known.keys()) if (!documents.has(key)) this.known.delete(key);
    const fresh = [...documents].filter(([key, { version }]) => this.known.get(key)?.version !== version);
    if (fresh.length === 0) return;
    const read = fresh.flatMap(([, stored]) => this.read(stored));
    for (const { tenant, name, firedThroughMs } of await this.table.adopt(read)) {
      const one = read.find((each) => each.tenant === tenant && each.name === name)!;
      this.advance(one, firedThroughMs);
      this.known.set(`${tenant}/${name}`, one);
    }
  }

  /** None for a document of another release whose times this one cannot read. */
  private read(stored: Stored<ScheduleDocument>): KnownSchedule[] {
    const { tenant, name, version, document } = stored;
    const { spec } = document;
    const { cron, timeZone, startsAt = '', endsAt = '' } = spec;
    try {
      const times = [cron, timeZone, startsAt, endsAt].join('|');
      return [{ tenant, name, version, stored, spec, times, timing: new Timing(spec), tickMs: undefined, lookAtMs: Infinity }];
    } catch (error) {
      report(error, { tenant, schedule: name });
      return [];
    }
  }

  private advance(one: KnownSchedule, firedThroughMs: number): void {
    one.tickMs = one.timing.after(firedThroughMs);
    one.lookAtMs = one.tickMs === undefined ? Infinity : dueAt(one, one.tickMs);
  }

  /** Fires the tick that is due, unless another process does. Never rejects. */
  private async look(one: KnownSchedule): Promise<void> {
    let claim: ScheduleClaim | undefined;
    try {
      claim = await this.table.claim(one, one.tickMs!, this.leaseMs);
      if (claim === undefined) return await this.lookAfterOther(one);
      const due = dueTicks(one, claim.firedThroughMs, this.nowMs());
      if (due !== undefined) await this.fire(one, claim, due);
      else await this.table.release(claim);
      this.advance(one, due?.throughMs ?? claim.firedThroughMs);
    } catch (error) {
      one.lookAtMs = this.nowMs() + tryAgainAfterMs;
      report(error, { tenant: one.tenant, schedule: one.name });
      if (claim !== undefined) await this.table.release(claim).catch(() => undefined); // else its lease ends
    }
  }

  /** Another process has fired the tick, or holds the claim; or there is a newer version, of which a notice is on its way. */
  private async lookAfterOther(one: KnownSchedule): Promise<void> {
    const [row] = await this.table.progress([one]);
    if (row !== undefined && row.firedThroughMs >= one.tickMs!) this.advance(one, row.firedThroughMs);
    else one.lookAtMs = this.nowMs() + tryAgainAfterMs;
  }

  private fire(one: KnownSchedule, claim: ScheduleClaim, { fire, missed, throughMs }: DueTicks): Promise<void> {
    return inSpan('fire schedule', { kind: SpanKind.PRODUCER }, async (span) => {
      const startedAt = performance.now();
      const traceparent = currentTraceparent(span);
      const receivedAtMs = this.nowMs();
      const events = fire.map((atMs) =>
        scheduleEvent(one.stored, { providerEventId: tickEventId({ schedule: one.name, atMs }), occurredAtMs: atMs, receivedAtMs }),
      );
      if (events.length > 0) await this.appender.append(events, () => scheduleScheme, traceparent);
      for (const atMs of fire) lag.observe({}, Math.max(0, this.nowMs() - dueAt(one, atMs)) / 1_000);
      const last = events.length === 0 ? null : { atMs: fire.at(-1)!, eventId: events.at(-1)!.eventId };
      const noted = await this.table.note(claim, { firedThroughMs: throughMs, fired: fire.length, missed, last });
      if (!noted) return; // another process claimed it meanwhile, fires the same events and counts them
      ticksOf.inc({ outcome: 'fired' }, fire.length);
      ticksOf.inc({ outcome: 'missed' }, missed);
      const work = {
        tenant: one.tenant,
        schedule: one.name,
        fired: fire.length,
        missed,
        eventId: last?.eventId,
        traceId: traceIdOf(traceparent),
      };
      workDone(log, 'fire schedule', { outcome: 'ok', durationMs: performance.now() - startedAt, ...work });
    });
  }
}

function report(error: unknown, about: { tenant?: string; schedule?: string }): void {
  const isExpected = error instanceof LogUnavailable || error instanceof StorageUnavailable;
  if (isExpected) log.warn({ ...about, reason: messageOf(error) }, 'a schedule has to wait');
  else log.error({ ...about, err: error }, 'a schedule cannot be fired');
}

/** In an order of its own in each process, so that they seldom reach for the same schedule at the same time. */
function shuffled<T>(items: T[]): T[] {
  for (let at = items.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [items[at], items[other]] = [items[other]!, items[at]!];
  }
  return items;
}
