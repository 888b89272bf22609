import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { topics, utcDayOf } from '#libs/contracts';
import { sleep, wallTime } from '#libs/time';
import { counter, logger, workDone } from '#libs/tracing';
import { Periodically } from '#libs/work';
import type { AiProcessingOptions } from '../config.js';
import { RequestStore } from '../requests/request.store.js';
import { SpendTable } from '../spending/spend.table.js';
import { RetentionStore } from './retention.store.js';
import type { WalkPosition } from './retention.store.js';

/** Injection token of {@link RetentionOptions}. */
export const retentionOptions = Symbol('retention options');
export type RetentionOptions = Pick<AiProcessingOptions, 'retentionDays' | 'requestRetentionDays'>;

const dayMs = 86_400_000;
const everyMs = 3_600_000;
/** The pause between two batches, so that other statements go first. */
const betweenBatchesMs = 100;
/** A dead letter is kept longer than the log keeps its record: a consumer that reads the log from its start would open it again. */
const deadLetterDays = topics.deadLetters.retentionMs / dayMs + 1;
/** Sums of costs are few rows, and compared with those of the year before. */
const spendDays = 800;

/** Days that a trial is kept. */
const trialDays = 7;

const deletedEvents = counter(
  'millrace_events_deleted_total',
  'Events that were deleted with all that followed from them, for their age.',
  { tenant: 'the tenant' },
);
const log = logger('retention');

/** Deletes old and finished events every hour, in small batches and by one process at a time. */
@Injectable()
export class RetentionService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly passes = new Periodically('deleting old events', everyMs, (signal) => this.pass(signal), { atOnce: true });

  constructor(
    private readonly store: RetentionStore,
    private readonly requests: RequestStore,
    private readonly spend: SpendTable,
    @Inject(retentionOptions) private readonly options: RetentionOptions,
  ) {}

  onApplicationBootstrap(): void {
    this.passes.start();
  }

  /** Waits for the batch under way. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.passes.stop();
  }

  /** Deletes what is too old at `now`, and returns the number of events. Ends early when the signal aborts. */
  async deleteOld(now = wallTime(), signal = new AbortController().signal): Promise<number> {
    const before = (days: number): Date => new Date(now.getTime() - days * dayMs);
    const { retentionDays, requestRetentionDays } = this.options;
    await this.deleteRequests(before(requestRetentionDays), signal);
    let deleted = 0;
    for (const tenant of await this.store.tenants()) {
      deleted += await this.deleteEvents(tenant, before(retentionDays), signal);
      await this.deleteDeadLetters(tenant, before(Math.max(retentionDays, deadLetterDays)), signal);
      await this.store.deleteTrials(tenant, before(trialDays));
      await this.store.deleteIdempotencyKeys(tenant, before(retentionDays));
      await this.spend.deleteBefore(tenant, utcDayOf(before(Math.max(retentionDays, spendDays))));
    }
    return deleted;
  }

  private async pass(signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    const deleted = await this.deleteOld(wallTime(), signal);
    if (deleted > 0) workDone(log, 'retention', { outcome: 'ok', durationMs: performance.now() - startedAt, deletedEvents: deleted });
  }

  private async deleteEvents(tenant: string, before: Date, signal: AbortSignal): Promise<number> {
    let deleted = 0;
    let position: WalkPosition | undefined;
    while (!signal.aborted) {
      const step = await this.store.deleteEvents(tenant, before, position);
      if (step === undefined) return deleted; // another process is deleting
      deleted += step.deleted;
      deletedEvents.inc({ tenant }, step.deleted);
      if (step.next === null) return deleted;
      position = step.next;
      await pauseBetweenBatches(signal);
    }
    return deleted;
  }

  private async deleteRequests(before: Date, signal: AbortSignal): Promise<void> {
    for (const tenant of await this.requests.tenants()) {
      while (!signal.aborted && (await this.requests.deleteOld(tenant, before)) > 0) await pauseBetweenBatches(signal);
    }
  }

  private async deleteDeadLetters(tenant: string, before: Date, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (await this.store.deleteDeadLetters(tenant, before)) > 0) await pauseBetweenBatches(signal);
  }
}

/** Ends early when the signal aborts. */
async function pauseBetweenBatches(signal: AbortSignal): Promise<void> {
  await sleep(betweenBatchesMs, signal).catch(() => undefined);
}
