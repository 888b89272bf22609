import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { Configuration } from '#libs/persistence';
import { gauge, logger } from '#libs/tracing';
import type { ConnectorsOptions } from '../config.js';
import { AttemptAnnouncer } from './attempt.announcer.js';
import { AttemptService } from './attempt.service.js';
import { DeliveryLeaseLost } from './delivery.errors.js';
import { DeliveryTable } from './delivery.table.js';
import type { ClaimedDelivery, DestinationRoom, RecordedAttempt } from './delivery.table.js';
import { Periodically } from './periodically.js';

/** Injection token of {@link ConnectorsOptions}. */
export const connectorsOptions = Symbol('connectors options');

interface Attempt {
  readonly delivery: ClaimedDelivery;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

const announceForgottenEveryMs = 5_000;
const measureBacklogEveryMs = 15_000;

const pending = gauge('millrace_deliveries_pending', 'Deliveries that wait for an attempt, whichever process will make it.', ['tenant']);
const oldest = gauge('millrace_deliveries_oldest_pending_seconds', 'Age of the oldest of them.', ['tenant']);
const underWay = gauge('millrace_delivery_attempts_under_way', 'Attempts under way in this process.', []);
const log = logger('deliveries');

/**
 * Claims deliveries that are due and has them attempted: so many at once, and so many to one destination, that one which hangs leaves room for
 * the others. Woken when a delivery was added here or an attempt ended, else it looks every so often.
 */
@Injectable()
export class DeliveryWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly attempts = new Map<string, Attempt>();
  private readonly announcements = new Set<Promise<void>>();
  private readonly chores: readonly Periodically[];
  private woken = Promise.withResolvers<void>();
  private stopping = false;
  private loop: Promise<void> | undefined;

  constructor(
    private readonly table: DeliveryTable,
    private readonly attempter: AttemptService,
    private readonly announcer: AttemptAnnouncer,
    private readonly configuration: Configuration,
    @Inject(connectorsOptions) private readonly options: ConnectorsOptions,
  ) {
    this.chores = [
      new Periodically('renewing claims', options.deliveryLeaseMs / 3, () => this.renewClaims()),
      new Periodically('announcing forgotten attempts', announceForgottenEveryMs, () => this.announcer.announceForgotten()),
      new Periodically('measuring the backlog', measureBacklogEveryMs, () => this.measureBacklog()),
    ];
  }

  onApplicationBootstrap(): void {
    for (const chore of this.chores) chore.start();
    this.loop = this.run();
  }

  /** Claims nothing more, lets attempts under way end for as long as the settings say, then breaks them off and gives their claims back. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    this.wakeUp();
    await this.loop;
    const budget = setTimeout(() => this.breakOff(), this.options.deliveryStopMs);
    await Promise.all([...this.attempts.values()].map(({ ended }) => ended));
    clearTimeout(budget);
    await Promise.all(this.announcements);
    await Promise.all(this.chores.map((chore) => chore.stop()));
  }

  /** There may be something to do: look now. */
  wakeUp(): void {
    this.woken.resolve();
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      this.woken = Promise.withResolvers(); // before the look, so that what comes during it is not missed
      const claimed = await this.claim();
      for (const delivery of claimed) this.start(delivery);
      if (claimed.length === 0 && !this.stopping) await this.pause();
    }
  }

  private async claim(): Promise<ClaimedDelivery[]> {
    const free = this.options.deliveryConcurrency - this.attempts.size;
    if (free <= 0 || !this.configuration.ready()) return [];
    const { deliveryConcurrencyPerDestination: perDestination, deliveryLeaseMs } = this.options;
    try {
      return await this.table.claim(free, perDestination, this.rooms(perDestination), deliveryLeaseMs);
    } catch (error) {
      log.warn({ err: error }, 'deliveries cannot be claimed; trying again');
      return [];
    }
  }

  private rooms(perDestination: number): DestinationRoom[] {
    const rooms = new Map<string, DestinationRoom>();
    for (const { delivery } of this.attempts.values()) {
      const { tenant, destination } = delivery;
      const free = (rooms.get(`${tenant}/${destination}`)?.free ?? perDestination) - 1;
      rooms.set(`${tenant}/${destination}`, { tenant, destination, free });
    }
    return [...rooms.values()];
  }

  private start(delivery: ClaimedDelivery): void {
    const stop = new AbortController();
    const key = `${delivery.tenant}/${delivery.id}/${delivery.fence}`;
    const ended = this.attempt(delivery, stop.signal).finally(() => {
      this.attempts.delete(key);
      underWay.set(this.attempts.size);
      this.wakeUp();
    });
    this.attempts.set(key, { delivery, stop, ended });
    underWay.set(this.attempts.size);
  }

  /** Never fails: what went wrong is logged, and the claim is given back or runs out. */
  private async attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<void> {
    try {
      this.announce(await this.attempter.attempt(delivery, signal));
    } catch (error) {
      log.warn({ err: error, deliveryId: delivery.id, tenant: delivery.tenant }, 'an attempt was broken off or could not be recorded');
      if (signal.aborted) await this.table.release(delivery).catch(() => undefined);
    }
  }

  /** Beside the attempts, so that a slow log holds up no delivery. */
  private announce(attempt: RecordedAttempt): void {
    const announcement = this.announcer
      .announce(attempt)
      .catch((error: unknown) => log.warn({ err: error, deliveryId: attempt.deliveryId }, 'an attempt is announced later'))
      .finally(() => this.announcements.delete(announcement));
    this.announcements.add(announcement);
  }

  private async pause(): Promise<void> {
    const timer = setTimeout(() => this.wakeUp(), this.options.deliveryPollMs);
    await this.woken.promise;
    clearTimeout(timer);
  }

  private async renewClaims(): Promise<void> {
    const held = [...this.attempts.values()];
    if (held.length === 0) return;
    const renewed = await this.table.renew(
      held.map(({ delivery }) => delivery),
      this.options.deliveryLeaseMs,
    );
    for (const { delivery, stop } of held) if (!renewed.has(delivery.id)) stop.abort(new DeliveryLeaseLost(delivery.id));
  }

  private async measureBacklog(): Promise<void> {
    const backlog = await this.table.backlog();
    pending.reset();
    oldest.reset();
    for (const { tenant, pending: count, oldestSeconds } of backlog) {
      pending.set({ tenant }, count);
      oldest.set({ tenant }, oldestSeconds);
    }
  }

  private breakOff(): void {
    for (const { stop } of this.attempts.values()) stop.abort(new Error('The process stops'));
  }
}
