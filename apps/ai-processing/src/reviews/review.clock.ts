import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { counter, gauge } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { ReviewStore, expiredReviews, withdrawnReviews } from './review.store.js';

const lookEveryMs = 2_000;
const measureEveryMs = 15_000;
const perLook = 500;

const escalated = counter(
  'millrace_reviews_escalated_total',
  'Reviews that went to the front of the queue, because nobody decided them.',
  {},
);
const open = gauge('millrace_reviews_open', 'Reviews that wait for a person. Each process of the service measures all.', {
  escalated: '`true` of those that are escalated, else `false`',
});
const oldest = gauge(
  'millrace_reviews_oldest_seconds',
  'How long ago the oldest review was asked that waits for a person; 0 if there is none. Each process of the service measures all.',
  {},
);

/** Lets time act on reviews: they escalate and expire. A run goes on from one that expired by the wait that was stored with it. */
@Injectable()
export class ReviewClock implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly looks = new Periodically('passing reviews on', lookEveryMs, (signal) => this.look(signal));
  private readonly measurements = new Periodically('measuring reviews', measureEveryMs, () => this.measure(), { atOnce: true });

  constructor(private readonly table: ReviewStore) {}

  onApplicationBootstrap(): void {
    this.looks.start();
    this.measurements.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.looks.stop();
    await this.measurements.stop();
  }

  async look(signal = new AbortController().signal): Promise<void> {
    for (let isMore = true; isMore && !signal.aborted;) {
      const passed = await this.table.pass(perLook);
      expiredReviews.inc({}, passed.expired);
      escalated.inc({}, passed.escalated);
      isMore = passed.expired === perLook || passed.escalated === perLook;
    }
  }

  /** Also withdraws what the end of a run has left open. */
  async measure(): Promise<void> {
    withdrawnReviews.inc({}, await this.table.withdraw(perLook));
    const backlog = await this.table.backlog();
    open.set({ escalated: 'true' }, backlog.escalated);
    open.set({ escalated: 'false' }, backlog.open - backlog.escalated);
    oldest.set({}, backlog.oldestSeconds);
  }
}
