import { Injectable } from '@nestjs/common';
import type { DestinationDocument, DestinationSpec } from '#libs/contracts';
import { Configuration, Database } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { afterCalls, callsAllowed, phaseOf, untilAllowedMs } from '#libs/retries';
import type { Claimed } from '#libs/work';
import { DestinationHealthTable } from '../destinations/destination-health.table.js';
import { destinationKey } from '../destinations/destination-name.js';
import type { DestinationName } from '../destinations/destination-name.js';
import type { DueDestination, LockedHealth } from '../destinations/destination-health.table.js';
import { concurrencyShares } from '../destinations/concurrency-shares.js';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { ClaimRoom, ClaimedDelivery } from './delivery-queue.table.js';

/** A claimed delivery. If its destination is disabled, it is parked without a request. */
export interface DeliveryClaim {
  readonly delivery: ClaimedDelivery;
  readonly destinationDisabled: boolean;
}

/** A process's request for claims. */
export interface ClaimRequest {
  /** Attempts that the process may begin, of `total` that it may have under way. */
  readonly free: number;
  readonly total: number;
  readonly underWay: (destination: DestinationName) => number;
  readonly leaseMs: number;
}

interface Candidate extends DestinationName {
  readonly share: number;
  readonly limit: DestinationSpec['limit'];
}

/** Attempts under way at once while the breaker is half-open. */
const probes = 3;
/** The limit of a destination that does not exist. Its deliveries are claimed all the same, and the attempt parks them. */
const limitOfUnknown: DestinationSpec['limit'] = { concurrency: 16 };

/** Decides which deliveries may be attempted now: by the health and limits of their destinations, and with a share for each destination. */
@Injectable()
export class DeliveryClaims {
  constructor(
    private readonly database: Database,
    private readonly table: DeliveryQueueTable,
    private readonly health: DestinationHealthTable,
    private readonly configuration: Configuration,
  ) {}

  async claim(request: ClaimRequest): Promise<Claimed<DeliveryClaim>> {
    const due = await this.due();
    const [open, blocked] = [due.filter(({ blockedForMs, disabled }) => disabled || blockedForMs === 0), due.filter(isBlocked)];
    const shares = concurrencyShares(
      open.map((one) => ({ underWay: request.underWay(one), concurrency: this.limitOf(one).concurrency })),
      request.free,
      request.total,
    );
    const candidates = open.map((one, at) => ({ ...one, share: shares[at]!, limit: this.limitOf(one) })).filter(({ share }) => share > 0);
    const { claims, waits } = candidates.length === 0 ? { claims: [], waits: [] } : await this.claimFrom(candidates, request.leaseMs);
    const times = [...blocked.map(({ blockedForMs }) => blockedForMs), ...waits];
    return { claims, againInMs: times.length === 0 ? undefined : Math.max(1, Math.ceil(Math.min(...times))) };
  }

  /** Destinations with something due. A newer version of a document starts with no known health, so nothing blocks it or disables it. */
  private async due(): Promise<DueDestination[]> {
    const due = await this.health.due();
    const newer = due
      .map((one) => ({ ...one, documentVersion: this.documentOf(one)?.version ?? 0, known: one.documentVersion }))
      .filter(({ documentVersion, known }) => known === null || documentVersion > known);
    await this.health.adopt(newer);
    const fresh = new Set(newer.map(destinationKey));
    return due.map((one) => (fresh.has(destinationKey(one)) ? { ...one, disabled: false, blockedForMs: 0 } : one));
  }

  private claimFrom(candidates: readonly Candidate[], leaseMs: number): Promise<{ claims: DeliveryClaim[]; waits: number[] }> {
    const wanted = new Map(candidates.map((one) => [destinationKey(one), one]));
    return this.database.transaction(async (session) => {
      const locked = await this.health.lock(session, candidates);
      const rooms = locked.map((one) => roomOf(one, wanted.get(destinationKey(one))!)).filter(({ free }) => free > 0);
      const deliveries = rooms.length === 0 ? [] : await this.table.claim(session, rooms, leaseMs);
      await this.health.saveRates(session, ratesAfter(locked, wanted, deliveries));
      const disabled = new Set(locked.filter(({ health }) => health.disabled !== null).map(destinationKey));
      return {
        claims: deliveries.map((delivery) => ({ delivery, destinationDisabled: disabled.has(destinationKey(delivery)) })),
        waits: locked.map((one) => waitOf(one, wanted.get(destinationKey(one))!)).filter((wait) => wait > 0),
      };
    });
  }

  private limitOf(destination: DestinationName): DestinationSpec['limit'] {
    return this.documentOf(destination)?.document.spec.limit ?? limitOfUnknown;
  }

  private documentOf({ tenant, destination }: DestinationName): Stored<DestinationDocument> | undefined {
    return this.configuration.destination(tenant, destination);
  }
}

function isBlocked({ blockedForMs, disabled }: DueDestination): boolean {
  return blockedForMs > 0 && !disabled;
}

/** Deliveries to a disabled destination are parked without a request, so nothing limits them. */
function roomOf({ tenant, destination, health, nextDueMs, nowMs }: LockedHealth, { share, limit }: Candidate): ClaimRoom {
  const room = { tenant, destination, free: share, concurrency: limit.concurrency };
  if (health.disabled !== null) return room;
  const phase = phaseOf(health.breaker, nowMs);
  if (phase === 'open' || (health.limited?.untilMs ?? 0) > nowMs) return { ...room, free: 0 };
  const { perSecond } = limit;
  const free = perSecond === undefined ? share : Math.min(share, callsAllowed({ perSecond }, nextDueMs, nowMs));
  return { ...room, free, concurrency: phase === 'halfOpen' ? Math.min(probes, limit.concurrency) : limit.concurrency };
}

function ratesAfter(locked: readonly LockedHealth[], wanted: ReadonlyMap<string, Candidate>, deliveries: readonly ClaimedDelivery[]) {
  const claimed = Map.groupBy(deliveries, destinationKey);
  return locked.flatMap(({ tenant, destination, health, nextDueMs, nowMs }) => {
    const key = destinationKey({ tenant, destination });
    const [{ perSecond }, calls] = [wanted.get(key)!.limit, claimed.get(key)?.length ?? 0];
    if (perSecond === undefined || calls === 0 || health.disabled !== null) return [];
    return [{ tenant, destination, nextDueMs: afterCalls({ perSecond }, nextDueMs, nowMs, calls) }];
  });
}

/** The time until the rate of the destination lets another attempt begin. */
function waitOf({ nextDueMs, nowMs, health }: LockedHealth, { limit: { perSecond } }: Candidate): number {
  return perSecond === undefined || health.disabled !== null ? 0 : untilAllowedMs({ perSecond }, nextDueMs, nowMs);
}
