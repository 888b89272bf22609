import { Injectable } from '@nestjs/common';
import type { DestinationDocument, DestinationSpec } from '#libs/contracts';
import { Configuration, Database } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { afterCalls, callsAllowed, phaseOf, untilAllowedMs } from '#libs/retries';
import { DestinationHealthTable } from '../destinations/destination-health.table.js';
import type { DestinationName, DueDestination, LockedHealth } from '../destinations/destination-health.table.js';
import { fairShares } from '../destinations/fair-share.js';
import { DeliveryTable } from './delivery.table.js';
import type { ClaimRoom, ClaimedDelivery } from './delivery.table.js';

/** A claimed delivery, and whether its destination wants it at all. */
export interface Claim {
  readonly delivery: ClaimedDelivery;
  readonly destinationDisabled: boolean;
}

export interface Claims {
  readonly claims: readonly Claim[];
  /** When something that is due now may be claimed, though no attempt ends and none is added. */
  readonly againInMs: number | undefined;
}

/** What a process has and wants. */
export interface Demand {
  /** Attempts that it may begin, of `total` that it may have under way. */
  readonly free: number;
  readonly total: number;
  readonly underWay: (destination: DestinationName) => number;
  readonly leaseMs: number;
}

interface Candidate extends DestinationName {
  readonly share: number;
  readonly limit: DestinationSpec['limit'];
}

/** While the breaker is half-open. */
const probes = 3;
/** Where a flow names a destination that is not there: each delivery finds that out for itself. */
const ofUnknown: DestinationSpec['limit'] = { concurrency: 16 };

/** Decides which deliveries may be attempted now: by their destinations' health and limits, and fairly among destinations. */
@Injectable()
export class DeliveryClaims {
  constructor(
    private readonly database: Database,
    private readonly table: DeliveryTable,
    private readonly health: DestinationHealthTable,
    private readonly configuration: Configuration,
  ) {}

  async claim(demand: Demand): Promise<Claims> {
    const due = await this.due();
    const [open, blocked] = [due.filter(({ blockedForMs, disabled }) => disabled || blockedForMs === 0), due.filter(isBlocked)];
    const shares = fairShares(
      open.map((one) => ({ underWay: demand.underWay(one), concurrency: this.limitOf(one).concurrency })),
      demand.free,
      demand.total,
    );
    const candidates = open.map((one, at) => ({ ...one, share: shares[at]!, limit: this.limitOf(one) })).filter(({ share }) => share > 0);
    const { claims, waits } = candidates.length === 0 ? { claims: [], waits: [] } : await this.claimFrom(candidates, demand.leaseMs);
    const times = [...blocked.map(({ blockedForMs }) => blockedForMs), ...waits];
    return { claims, againInMs: times.length === 0 ? undefined : Math.max(1, Math.ceil(Math.min(...times))) };
  }

  /** Of a document that is newer than what is known, nothing is known: whatever stood in the way belongs to the old one. */
  private async due(): Promise<DueDestination[]> {
    const due = await this.health.due();
    const news = due
      .map((one) => ({ ...one, documentVersion: this.documentOf(one)?.version ?? 0, known: one.documentVersion }))
      .filter(({ documentVersion, known }) => known === null || documentVersion > known);
    await this.health.adopt(news);
    const fresh = new Set(news.map(addressOf));
    return due.map((one) => (fresh.has(addressOf(one)) ? { ...one, disabled: false, blockedForMs: 0 } : one));
  }

  private claimFrom(candidates: readonly Candidate[], leaseMs: number): Promise<{ claims: Claim[]; waits: number[] }> {
    const wanted = new Map(candidates.map((one) => [addressOf(one), one]));
    return this.database.transaction(async (session) => {
      const locked = await this.health.lock(session, candidates);
      const rooms = locked.map((one) => roomOf(one, wanted.get(addressOf(one))!)).filter(({ free }) => free > 0);
      const deliveries = rooms.length === 0 ? [] : await this.table.claim(session, rooms, leaseMs);
      await this.health.saveRates(session, ratesAfter(locked, wanted, deliveries));
      const disabled = new Set(locked.filter(({ health }) => health.disabled !== null).map(addressOf));
      return {
        claims: deliveries.map((delivery) => ({ delivery, destinationDisabled: disabled.has(addressOf(delivery)) })),
        waits: locked.map((one) => waitOf(one, wanted.get(addressOf(one))!)).filter((wait) => wait > 0),
      };
    });
  }

  private limitOf(destination: DestinationName): DestinationSpec['limit'] {
    return this.documentOf(destination)?.document.spec.limit ?? ofUnknown;
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
  const claimed = Map.groupBy(deliveries, addressOf);
  return locked.flatMap(({ tenant, destination, health, nextDueMs, nowMs }) => {
    const address = addressOf({ tenant, destination });
    const [{ perSecond }, calls] = [wanted.get(address)!.limit, claimed.get(address)?.length ?? 0];
    if (perSecond === undefined || calls === 0 || health.disabled !== null) return [];
    return [{ tenant, destination, nextDueMs: afterCalls({ perSecond }, nextDueMs, nowMs, calls) }];
  });
}

/** Until its rate lets another attempt begin. */
function waitOf({ nextDueMs, nowMs, health }: LockedHealth, { limit: { perSecond } }: Candidate): number {
  return perSecond === undefined || health.disabled !== null ? 0 : untilAllowedMs({ perSecond }, nextDueMs, nowMs);
}

function addressOf({ tenant, destination }: DestinationName): string {
  return `${tenant}/${destination}`;
}
