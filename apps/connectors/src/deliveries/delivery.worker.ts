import { Inject, Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { Configuration } from '#libs/persistence';
import type { Subscription } from '#libs/persistence';
import { standardBreaker } from '#libs/retries';
import { Doors } from '#libs/service';
import { wallTime } from '#libs/time';
import { gauge, logger } from '#libs/tracing';
import { ClaimLoop, Periodically } from '#libs/work';
import type { Claimed, Lease } from '#libs/work';
import type { ConnectorsOptions } from '../config.js';
import { AttemptAnnouncer } from './attempt.announcer.js';
import { AttemptService } from './attempt.service.js';
import { DeliveryClaims } from './delivery.claims.js';
import type { DeliveryClaim } from './delivery.claims.js';
import { DeliveryLeaseLost, DeliveryWaits } from './delivery.errors.js';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { ClaimedDelivery, RecordedAttempt } from './delivery-queue.table.js';
import { DestinationHealthTable } from '../destinations/destination-health.table.js';
import { destinationKey } from '../destinations/destination-name.js';

/** Injection token of {@link ConnectorsOptions}. */
export const connectorsOptions = Symbol('connectors options');

const announceForgottenEveryMs = 5_000;
const measureBacklogEveryMs = 15_000;
const forgetCommandsEveryMs = 3_600_000;
const endOverlongWaitsEveryMs = 60_000;
/** Longer than the log keeps commands, so none comes again after it was forgotten. */
const commandsKnownForMs = 30 * 86_400_000;

const pending = gauge('millrace_deliveries_pending', 'Deliveries that wait for an attempt, of all processes.', {
  tenant: 'the tenant',
});
const oldest = gauge(
  'millrace_deliveries_oldest_pending_seconds',
  'Age of the oldest pending delivery, of all processes; 0 if there is none.',
  {
    tenant: 'the tenant',
  },
);
const underWay = gauge('millrace_delivery_attempts_under_way', 'Attempts under way in this process.', {});
const states = ['active', 'open', 'limited', 'disabled'] as const;
const destinations = gauge('millrace_destinations', 'Destinations by state, as all processes share it.', { state: states });
const log = logger('deliveries');

/** Has deliveries attempted as they become due, and runs the chores that go with them. */
@Injectable()
export class DeliveryWorker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop: ClaimLoop<DeliveryClaim>;
  private readonly announcements = new Set<Promise<void>>();
  private readonly chores: readonly Periodically[];
  private planned: Promise<Subscription> | undefined;
  private mayDeliver = false;

  constructor(
    private readonly table: DeliveryQueueTable,
    private readonly attempter: AttemptService,
    private readonly announcer: AttemptAnnouncer,
    private readonly deliveryClaims: DeliveryClaims,
    private readonly health: DestinationHealthTable,
    private readonly configuration: Configuration,
    @Inject(Doors) private readonly doors: Pick<Doors, 'opened'>,
    @Inject(connectorsOptions) private readonly options: ConnectorsOptions,
  ) {
    this.loop = new ClaimLoop({
      what: 'deliveries',
      concurrency: options.deliveryConcurrency,
      leaseMs: options.deliveryLeaseMs,
      pollMs: options.deliveryPollMs,
      stopMs: options.deliveryStopMs,
      claim: (free) => this.claim(free),
      renew: (claims) => this.renew(claims),
      work: (claim, lease) => this.attempt(claim, lease),
      lost: ({ delivery }) => new DeliveryLeaseLost(delivery.id),
    });
    this.chores = [
      new Periodically('announcing forgotten attempts', announceForgottenEveryMs, () => this.announcer.announceForgotten()),
      new Periodically('measuring the backlog', measureBacklogEveryMs, () => this.measureBacklog()),
      new Periodically('ending overlong waits', endOverlongWaitsEveryMs, () => this.endOverlongWaits()),
      new Periodically('forgetting commands', forgetCommandsEveryMs, () => this.table.forgetCommands(commandsKnownForMs)),
    ];
  }

  onApplicationBootstrap(): void {
    for (const chore of this.chores) chore.start();
    this.loop.start();
    this.planned = this.table.onPlanned(() => this.wakeUp());
    void this.doors.opened.then(() => {
      this.mayDeliver = true;
      this.wakeUp();
    });
  }

  /** Claims nothing more, lets attempts under way end for as long as the settings say, then aborts them and gives their claims back. */
  async beforeApplicationShutdown(): Promise<void> {
    await (await this.planned)?.close();
    await this.loop.stop();
    await Promise.all(this.announcements);
    await Promise.all(this.chores.map((chore) => chore.stop()));
  }

  /** A delivery may have become due: look now. */
  wakeUp(): void {
    this.loop.wake();
  }

  private async claim(free: number): Promise<Claimed<DeliveryClaim>> {
    if (!this.mayDeliver || !this.configuration.ready()) return { claims: [] };
    const { deliveryConcurrency: total, deliveryLeaseMs: leaseMs } = this.options;
    const underWayTo = this.countUnderWay();
    return this.deliveryClaims.claim({ free, total, leaseMs, underWay: (one) => underWayTo.get(destinationKey(one)) ?? 0 });
  }

  private countUnderWay(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { delivery } of this.loop.underWay()) counts.set(destinationKey(delivery), (counts.get(destinationKey(delivery)) ?? 0) + 1);
    return counts;
  }

  /** Never fails: a failure is logged, and the claim is given back or runs out. */
  private async attempt(claim: DeliveryClaim, lease: Lease): Promise<void> {
    const { delivery } = claim;
    const startedAt = wallTime();
    underWay.inc();
    try {
      const { recorded, gaveTurn } = await this.attempter.attempt(claim, lease);
      if (gaveTurn) this.wakeUp();
      this.announce(recorded);
    } catch (error) {
      if (error instanceof DeliveryWaits) {
        await this.table.release(delivery, null).catch(() => undefined); // not looked at again at once: its destination is blocked
        return;
      }
      log.warn({ err: error, deliveryId: delivery.id, tenant: delivery.tenant }, 'an attempt was aborted or could not be recorded');
      if (lease.signal.aborted) await this.giveBack(delivery, startedAt);
      else if (error instanceof DeliveryLeaseLost) await this.giveBack(delivery, null);
    } finally {
      underWay.dec();
    }
  }

  /** @param attemptedAt as for {@link DeliveryQueueTable.release} */
  private async giveBack(delivery: ClaimedDelivery, attemptedAt: Date | null): Promise<void> {
    await this.table.release(delivery, attemptedAt).catch(() => undefined);
    this.wakeUp();
  }

  /** Not awaited by the attempt, so that a slow log delays no delivery. */
  private announce(attempt: RecordedAttempt): void {
    const announcement = this.announcer
      .announce(attempt)
      .catch((error: unknown) => log.warn({ err: error, deliveryId: attempt.deliveryId }, 'an attempt is announced later'))
      .finally(() => this.announcements.delete(announcement));
    this.announcements.add(announcement);
  }

  private async renew(claims: readonly DeliveryClaim[]): Promise<readonly DeliveryClaim[]> {
    const renewed = await this.table.renew(
      claims.map(({ delivery }) => delivery),
      this.options.deliveryLeaseMs,
    );
    return claims.filter(({ delivery }) => renewed.has(delivery.id));
  }

  /** Deliveries and destinations would otherwise wait out a step back of Postgres' clock. */
  private async endOverlongWaits(): Promise<void> {
    const { deliveryBreakerLongestOpenMs: openMs } = this.options;
    const deliveries = await this.table.endOverlongWaits();
    const ended = await this.health.endOverlongWaits(Math.max(openMs, standardBreaker.credentialOpenMs));
    if (deliveries + ended === 0) return;
    log.warn(
      { deliveries, destinations: ended },
      'waits that were longer than any may be are ended: the clock of Postgres has stepped back',
    );
    this.wakeUp();
  }

  private async measureBacklog(): Promise<void> {
    const backlog = new Map((await this.table.backlog()).map((one) => [one.tenant, one]));
    pending.reset();
    oldest.reset();
    for (const tenant of new Set([...this.configuration.tenantNames(), ...backlog.keys()])) {
      pending.set({ tenant }, backlog.get(tenant)?.pending ?? 0);
      oldest.set({ tenant }, backlog.get(tenant)?.oldestSeconds ?? 0);
    }
    for (const state of states) destinations.set({ state }, 0);
    for (const { state, count } of await this.health.countByState()) destinations.set({ state }, count);
  }
}
