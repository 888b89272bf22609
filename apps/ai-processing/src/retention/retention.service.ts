import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { topics } from '#libs/contracts';
import { counter, logger, workDone } from '#libs/tracing';
import type { AiProcessingOptions } from '../config.js';
import { RetentionTable } from './retention.table.js';
import type { WalkPosition } from './retention.table.js';

/** Injection token of {@link RetentionOptions}. */
export const retentionOptions = Symbol('retention options');
export type RetentionOptions = Pick<AiProcessingOptions, 'retentionDays'>;

const dayMs = 86_400_000;
const everyMs = 3_600_000;
/** Between two batches, so that the work of the day goes first. */
const betweenBatchesMs = 100;
/** A dead letter that the log still has would be opened again by whoever reads the log from its start. */
const deadLetterDays = topics.deadLetters.retentionMs / dayMs + 1;

const deletedEvents = counter(
  'millrace_events_deleted_total',
  'Events that were deleted with all that followed from them, for their age.',
  ['tenant'],
);
const log = logger('retention');

/** Deletes what is old and finished, every hour and in small batches; one process at a time. */
@Injectable()
export class RetentionService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stopping = new AbortController();
  private work: Promise<void> = Promise.resolve();

  constructor(
    private readonly table: RetentionTable,
    @Inject(retentionOptions) private readonly options: RetentionOptions,
  ) {}

  onApplicationBootstrap(): void {
    this.work = this.run();
  }

  /** Waits for the batch under way. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.work;
  }

  /** Deletes what is too old at `now`, and returns how many events that were. */
  async deleteOld(now = new Date()): Promise<number> {
    const before = (days: number): Date => new Date(now.getTime() - days * dayMs);
    const { retentionDays } = this.options;
    let deleted = 0;
    for (const tenant of await this.table.tenants()) {
      deleted += await this.deleteEvents(tenant, before(retentionDays));
      await this.deleteDeadLetters(tenant, before(Math.max(retentionDays, deadLetterDays)));
      await this.table.deleteIdempotencyKeys(tenant, before(retentionDays));
    }
    return deleted;
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      await this.pass();
      await this.pause(everyMs);
    }
  }

  private async pass(): Promise<void> {
    const startedAt = performance.now();
    try {
      const deleted = await this.deleteOld();
      if (deleted > 0) workDone(log, 'retention', { outcome: 'ok', durationMs: performance.now() - startedAt, deletedEvents: deleted });
    } catch (error) {
      log.warn({ err: error }, 'old events are deleted later');
    }
  }

  private async deleteEvents(tenant: string, before: Date): Promise<number> {
    let deleted = 0;
    let position: WalkPosition | undefined;
    while (!this.stopping.signal.aborted) {
      const step = await this.table.deleteEvents(tenant, before, position);
      if (step === undefined) return deleted; // another process is at it
      deleted += step.deleted;
      deletedEvents.inc({ tenant }, step.deleted);
      if (step.next === null) return deleted;
      position = step.next;
      await this.pause(betweenBatchesMs);
    }
    return deleted;
  }

  private async deleteDeadLetters(tenant: string, before: Date): Promise<void> {
    while (!this.stopping.signal.aborted && (await this.table.deleteDeadLetters(tenant, before)) > 0) await this.pause(betweenBatchesMs);
  }

  private async pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.stopping.signal }).catch(() => undefined);
  }
}
