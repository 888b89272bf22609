import { Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { messageOf } from '#libs/contracts';
import { BatchWriter, TenantDatabase } from '#libs/persistence';
import type { Subscription } from '#libs/persistence';
import { sleep, wallTimeMs } from '#libs/time';
import { gauge, logger } from '#libs/tracing';
import { ChangeQueue } from '../event-changes/change-queue.js';
import type { ChangeBatch } from '../event-changes/change-queue.js';
import { SubscriberTooSlow } from '../event-changes/event-change.errors.js';
import type { ReviewChangeFilter, ReviewChangeKind, ReviewChangeRow, ReviewRow } from './review.operations.js';
import { ReviewTable, reviewsChannel } from './review.table.js';

interface Subscriber {
  readonly wants: (review: ReviewRow) => boolean;
  readonly queue: ChangeQueue<ReviewChangeRow>;
}

/** The subscribers of one tenant. */
interface Audience {
  readonly subscribers: Set<Subscriber>;
  /** Joins the reads of many changes into one statement. */
  readonly reviews: BatchWriter<string, ReviewRow | null>;
}

const maxBatch = 50;
/** Changes that may wait for one subscriber before those of the same review are merged. */
const mergeAbove = 500;
/** Reviews whose changes may wait for one subscriber. */
const maxReviews = 10_000;
const maxReads = 200;
/** A connection may break so long before that is noticed, and the clocks of this process and of Postgres may differ by so much. */
const missedMs = 60_000;
const betweenTriesMs = 250;

const open = gauge('millrace_graphql_review_subscribers', 'Subscriptions to changes of reviews that are open.', {});
const log = logger('reviews');

/** Hands the changes that Postgres tells to the subscribers of their tenant, and of no other. Listens only while there are subscribers. */
@Injectable()
export class ReviewChanges implements OnApplicationShutdown {
  private readonly byTenant = new Map<string, Audience>();
  private listening: Promise<Subscription> | undefined;
  /** The time since which changes may be missing: the connection broke, or one was not read. Undefined if none are. */
  private missingSinceMs: number | undefined;
  private isConnected = false;
  private catchingUp: Promise<void> | undefined;
  private readonly stopping = new AbortController();

  constructor(
    private readonly database: TenantDatabase,
    private readonly table: ReviewTable,
  ) {}

  subscribe(tenant: string, filter: ReviewChangeFilter): AsyncIterableIterator<ChangeBatch<ReviewChangeRow>> {
    const queue = new ChangeQueue<ReviewChangeRow>({
      keyOf: ({ review }) => review.id,
      maxBatch,
      mergeAbove,
      maxKeys: maxReviews,
      overflow: () => new SubscriberTooSlow(maxReviews, 'reviews'),
      onMerge: () => undefined,
      onEnd: () => this.leave(tenant, subscriber),
    });
    const subscriber = { wants: matcher(filter), queue };
    const audience = this.byTenant.get(tenant) ?? this.audienceOf(tenant);
    this.byTenant.set(tenant, audience);
    audience.subscribers.add(subscriber);
    this.listening ??= this.listen();
    void this.listening.then(() => this.count());
    return queue;
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await (await this.listening)?.close();
    await this.catchingUp;
  }

  private async listen(): Promise<Subscription> {
    const since = wallTimeMs();
    const miss = (): void => void (this.missingSinceMs ??= wallTimeMs());
    const subscription = await this.database.listen(
      reviewsChannel,
      (payload) => {
        this.isConnected = true;
        if (payload === '') return this.catchUp();
        this.heard(payload).catch((error: unknown) => {
          log.warn({ reason: messageOf(error) }, 'a change of a review was not read');
          miss();
          this.catchUp();
        });
      },
      () => {
        this.isConnected = false;
        miss();
      },
    );
    if (!this.isConnected) this.missingSinceMs ??= since;
    return subscription;
  }

  private async heard(payload: string): Promise<void> {
    const [tenant, id, change, at] = payload.split('/') as [string, string, ReviewChangeKind, string];
    const audience = this.byTenant.get(tenant);
    const review = await audience?.reviews.add(id);
    if (audience !== undefined && review != null) send(audience, { change, at: new Date(Number(at)), merged: 0, review });
  }

  private catchUp(): void {
    this.catchingUp ??= this.sendMissing().finally(() => (this.catchingUp = undefined));
  }

  /** Sends what may be missing. Tries again while the connection holds; where it does not, its return begins anew. */
  private async sendMissing(): Promise<void> {
    const { signal } = this.stopping;
    while (this.missingSinceMs !== undefined && this.isConnected && !signal.aborted) {
      const sinceMs = this.missingSinceMs;
      this.missingSinceMs = undefined;
      try {
        for (const [tenant, audience] of this.byTenant)
          for (const changed of await this.table.changedSince(tenant, new Date(sinceMs - missedMs)))
            send(audience, { ...changed, merged: 0 });
      } catch (error) {
        log.warn({ reason: messageOf(error) }, 'changes of reviews were not read; trying again');
        this.missingSinceMs = sinceMs;
        await sleep(betweenTriesMs, signal).catch(() => undefined);
      }
    }
  }

  private audienceOf(tenant: string): Audience {
    const reviews = new BatchWriter<string, ReviewRow | null>({ maxBatch: maxReads, write: (ids) => this.table.byIds(tenant, ids) });
    return { subscribers: new Set(), reviews };
  }

  private leave(tenant: string, subscriber: Subscriber): void {
    const audience = this.byTenant.get(tenant);
    if (!audience?.subscribers.delete(subscriber)) return;
    if (audience.subscribers.size === 0) this.byTenant.delete(tenant);
    if (this.byTenant.size === 0) {
      void this.listening?.then((subscription) => subscription.close());
      this.listening = undefined;
      this.missingSinceMs = undefined;
      this.isConnected = false;
    }
    this.count();
  }

  private count(): void {
    open.set(
      {},
      [...this.byTenant.values()].reduce((total, { subscribers }) => total + subscribers.size, 0),
    );
  }
}

function send({ subscribers }: Audience, change: ReviewChangeRow): void {
  for (const { wants, queue } of subscribers) if (wants(change.review)) queue.push(change);
}

function matcher({ flow, customer, escalated, priorityFrom }: ReviewChangeFilter): (review: ReviewRow) => boolean {
  const is = <T>(wanted: T | null | undefined, value: T): boolean => wanted == null || wanted === value;
  return (review) =>
    is(flow, review.flow) &&
    is(customer, review.customer) &&
    is(escalated, review.escalatedAt !== null) &&
    (priorityFrom == null || review.priority >= priorityFrom);
}
