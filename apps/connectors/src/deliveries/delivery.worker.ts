import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { Configuration } from '#libs/persistence';
import { gauge, logger } from '#libs/tracing';
import type { ConnectorsOptions } from '../config.js';
import { AttemptAnnouncer } from './attempt.announcer.js';
import { AttemptService } from './attempt.service.js';
import type { Lease } from './attempt.service.js';
import { DeliveryClaims } from './delivery.claims.js';
import type { Claim, Claims } from './delivery.claims.js';
import { DeliveryLeaseLost } from './delivery.errors.js';
import { DeliveryTable } from './delivery.table.js';
import type { ClaimedDelivery, RecordedAttempt } from './delivery.table.js';
import { DestinationHealthTable } from '../destinations/destination-health.table.js';
import type { DestinationName } from '../destinations/destination-health.table.js';
import { Periodically } from './periodically.js';

/** Injection token of {@link ConnectorsOptions}. */
export const connectorsOptions = Symbol('connectors options');

interface Attempt {
  readonly delivery: ClaimedDelivery;
  readonly lease: Lease;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

const announceForgottenEveryMs = 5_000;
const measureBacklogEveryMs = 15_000;
const forgetCommandsEveryMs = 3_600_000;
/** Longer than the log keeps commands. */
const commandsKnownForMs = 30 * 86_400_000;
const nothing: Claims = { claims: [], againInMs: undefined };

const pending = gauge('millrace_deliveries_pending', 'Deliveries that wait for an attempt, whichever process will make it.', ['tenant']);
const oldest = gauge('millrace_deliveries_oldest_pending_seconds', 'Age of the oldest of them.', ['tenant']);
const underWay = gauge('millrace_delivery_attempts_under_way', 'Attempts under way in this process.', []);
const destinations = gauge('millrace_destinations', 'Destinations by state: active, open, limited or disabled.', ['state']);
const log = logger('deliveries');

/**
 * Claims deliveries that are due and has them attempted, so many at once. Woken when a delivery was added here or an attempt ended, else it looks
 * every so often.
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
    private readonly deliveryClaims: DeliveryClaims,
    private readonly health: DestinationHealthTable,
    private readonly configuration: Configuration,
    @Inject(connectorsOptions) private readonly options: ConnectorsOptions,
  ) {
    this.chores = [
      new Periodically('renewing claims', options.deliveryLeaseMs / 3, () => this.renewClaims()),
      new Periodically('announcing forgotten attempts', announceForgottenEveryMs, () => this.announcer.announceForgotten()),
      new Periodically('measuring the backlog', measureBacklogEveryMs, () => this.measureBacklog()),
      new Periodically('forgetting commands', forgetCommandsEveryMs, () => this.table.forgetCommands(commandsKnownForMs)),
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
      const { claims, againInMs } = await this.claim();
      if (claims.length === 0 && !this.stopping) await this.pause(againInMs);
    }
  }

  /** What is claimed is started at once: its lease runs since before the claim. */
  private async claim(): Promise<Claims> {
    const { deliveryConcurrency: total, deliveryLeaseMs: leaseMs } = this.options;
    const free = total - this.attempts.size;
    if (free <= 0 || !this.configuration.ready()) return nothing;
    const underWayTo = this.countUnderWay();
    const askedAtMs = performance.now();
    try {
      const claimed = await this.deliveryClaims.claim({ free, total, leaseMs, underWay: (one) => underWayTo.get(addressOf(one)) ?? 0 });
      for (const claim of claimed.claims) this.start(claim, { endsAtMs: askedAtMs + leaseMs });
      return claimed;
    } catch (error) {
      log.warn({ err: error }, 'deliveries cannot be claimed; trying again');
      return nothing;
    }
  }

  private countUnderWay(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { delivery } of this.attempts.values()) counts.set(addressOf(delivery), (counts.get(addressOf(delivery)) ?? 0) + 1);
    return counts;
  }

  private start(claim: Claim, lease: Lease): void {
    const { delivery } = claim;
    const stop = new AbortController();
    const key = `${delivery.tenant}/${delivery.id}/${delivery.fence}`;
    const ended = this.attempt(claim, lease, stop.signal).finally(() => {
      this.attempts.delete(key);
      underWay.set(this.attempts.size);
      this.wakeUp();
    });
    this.attempts.set(key, { delivery, lease, stop, ended });
    underWay.set(this.attempts.size);
  }

  /** Never fails: what went wrong is logged, and the claim is given back or runs out. */
  private async attempt(claim: Claim, lease: Lease, signal: AbortSignal): Promise<void> {
    const { delivery } = claim;
    try {
      this.announce(await this.attempter.attempt(claim, lease, signal));
    } catch (error) {
      log.warn({ err: error, deliveryId: delivery.id, tenant: delivery.tenant }, 'an attempt was broken off or could not be recorded');
      if (signal.aborted || error instanceof DeliveryLeaseLost) await this.table.release(delivery).catch(() => undefined);
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

  private async pause(atMostMs = Infinity): Promise<void> {
    const timer = setTimeout(() => this.wakeUp(), Math.min(atMostMs, this.options.deliveryPollMs));
    await this.woken.promise;
    clearTimeout(timer);
  }

  private async renewClaims(): Promise<void> {
    const held = [...this.attempts.values()];
    if (held.length === 0) return;
    const askedAtMs = performance.now();
    const renewed = await this.table.renew(
      held.map(({ delivery }) => delivery),
      this.options.deliveryLeaseMs,
    );
    for (const { delivery, lease, stop } of held) {
      if (renewed.has(delivery.id)) lease.endsAtMs = askedAtMs + this.options.deliveryLeaseMs;
      else stop.abort(new DeliveryLeaseLost(delivery.id));
    }
  }

  private async measureBacklog(): Promise<void> {
    const backlog = await this.table.backlog();
    pending.reset();
    oldest.reset();
    for (const { tenant, pending: count, oldestSeconds } of backlog) {
      pending.set({ tenant }, count);
      oldest.set({ tenant }, oldestSeconds);
    }
    destinations.reset();
    for (const { state, count } of await this.health.countByState()) destinations.set({ state }, count);
  }

  private breakOff(): void {
    for (const { stop } of this.attempts.values()) stop.abort(new Error('The process stops'));
  }
}

function addressOf({ tenant, destination }: DestinationName): string {
  return `${tenant}/${destination}`;
}
