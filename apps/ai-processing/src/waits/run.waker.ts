import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { ContinueRun, messageOf, topics } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { latencyMs, wallTime, wallTimeMs } from '#libs/time';
import { counter, gauge, histogram, logger } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { RunWaitTable } from './run-wait.table.js';
import type { EndedWait } from './run-wait.table.js';

const lookEveryMs = 1_000;
const measureEveryMs = 15_000;
const perLook = 500;
/** A run that was told goes on within this time, unless the record was lost or waits behind others. Then it is told again. */
const tellAgainAfterMs = 60_000;
/** The most waits of a tenant that are not over. They take a row each, and nothing else. */
export const mostWaitsOfTenant = 100_000;

const ended = counter(
  'millrace_run_waits_ended_total',
  'Waits of runs that are over: their time came, or an event arrived that may be the one.',
  {
    reason: ['elapsed', 'event'],
  },
);
const lag = histogram(
  'millrace_run_wait_lag_seconds',
  'From the time at which a wait is over until the log has the record that continues its run.',
  {},
);
const open = gauge('millrace_run_waits', 'Waits of runs that are not over. Each process of the service measures all.', {
  tenant: 'the tenant',
});
const overdue = gauge(
  'millrace_run_waits_overdue_seconds',
  'How long ago the time of the oldest wait came that is not over; 0 if there is none. Each process of the service measures all.',
  {},
);
const log = logger('waits');

/** Ends the waits of runs whose time has come, and appends the records that continue them. */
@Injectable()
export class RunWaker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly looks = new Periodically('waking runs', lookEveryMs, (signal) => this.look(signal));
  private readonly measurements = new Periodically('measuring waits', measureEveryMs, () => this.measure(), { atOnce: true });
  /** The waits of each tenant, as last measured. */
  private counts: ReadonlyMap<string, number> = new Map();

  constructor(
    private readonly table: RunWaitTable,
    private readonly producer: RecordProducer,
  ) {}

  onApplicationBootstrap(): void {
    this.looks.start();
    this.measurements.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.looks.stop();
    await this.measurements.stop();
  }

  /** True if the tenant has as many waits as it may have. */
  isFull(tenant: string): boolean {
    return (this.counts.get(tenant) ?? 0) >= mostWaitsOfTenant;
  }

  /** Wakes what is due, and what was woken and does not go on. */
  async look(signal = new AbortController().signal): Promise<void> {
    while (!signal.aborted && (await this.wakeDue()) === perLook);
    await this.tell(await this.table.untold(perLook, tellAgainAfterMs));
  }

  /** @returns how many it woke, at most {@link perLook} */
  private async wakeDue(): Promise<number> {
    const due = await this.table.endDue(perLook);
    await this.tell(due);
    for (const { dueAt } of due) lag.observe({}, Math.max(0, latencyMs(dueAt.getTime(), wallTimeMs())) / 1_000);
    ended.inc({ reason: 'elapsed' }, due.length);
    return due.length;
  }

  /** Wakes the runs that may wait for these events, which were recorded a moment ago. */
  async arrived(events: readonly EventReceived[]): Promise<void> {
    await this.wakeByEvents(await this.table.endByArrivals(events));
  }

  /** Wakes the run if an event was recorded after it looked and before its wait was stored: {@link arrived} found nothing to wake then. */
  async lookBack({ tenant, id }: { readonly tenant: string; readonly id: string }): Promise<void> {
    await this.wakeByEvents(await this.table.lookBack(tenant, id));
  }

  private async wakeByEvents(waits: readonly EndedWait[]): Promise<void> {
    ended.inc({ reason: 'event' }, waits.length);
    await this.tell(waits).catch((error: unknown) => log.warn({ reason: messageOf(error) }, 'runs that wait for events are told later'));
  }

  async measure(): Promise<void> {
    const backlog = await this.table.backlog();
    for (const tenant of this.counts.keys()) open.set({ tenant }, 0);
    for (const { tenant, waits } of backlog) open.set({ tenant }, waits);
    this.counts = new Map(backlog.map(({ tenant, waits }) => [tenant, waits]));
    const nowMs = wallTimeMs();
    overdue.set({}, Math.max(0, ...backlog.map(({ oldestDueAt }) => latencyMs(oldestDueAt.getTime(), nowMs))) / 1_000);
  }

  /** Runs that it cannot tell are told again later. */
  private async tell(waits: readonly EndedWait[]): Promise<void> {
    const at = wallTime().toISOString();
    await Promise.all(
      waits.map(({ tenant, customer, eventId, runId, traceparent }) =>
        this.producer.append(
          topics.commands,
          ContinueRun,
          { tenant, customer, eventId, runId, at },
          traceparent === null ? {} : { traceparent },
        ),
      ),
    );
  }
}
