import { Injectable } from '@nestjs/common';
import type { DestinationDocument, DestinationSpec } from '#libs/contracts';
import { LruMap } from '#libs/lru';
import { Configuration, Database } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { afterCalls, callsAllowed, phaseOf, untilAllowedMs } from '#libs/retries';
import type { Claimed } from '#libs/work';
import { DestinationHealth } from '../destinations/destination-health.js';
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

interface Candidate extends DueDestination {
  readonly share: number;
  readonly limit: DestinationSpec['limit'];
}

interface Claims {
  readonly claims: readonly DeliveryClaim[];
  /** True: something else than the share given limited them, so more may be due. */
  readonly areLimited: boolean;
  /** Times until a rate lets another attempt begin, ms. */
  readonly waits: readonly number[];
}

/** Attempts under way at once while the breaker is half-open. */
const probes = 3;
/** The limit of a destination that does not exist. Its deliveries are claimed all the same, and the attempt parks them. */
const limitOfUnknown: DestinationSpec['limit'] = { concurrency: 16 };

/** For so long a destination with more due than its concurrency is claimed from exclusively at once, without a shared try. */
const crowdedForMs = 1_000;
const crowdedRemembered = 10_000;
const nothing: Claims = { claims: [], areLimited: false, waits: [] };

/** Decides which deliveries may be attempted now: by the health and limits of their destinations, and with a share for each destination. */
@Injectable()
export class DeliveryClaims {
  /** Until when a destination counts as crowded, by the monotonic clock. */
  private readonly crowded = new LruMap<string, number>(crowdedRemembered);

  constructor(
    private readonly database: Database,
    private readonly table: DeliveryQueueTable,
    private readonly healthTable: DestinationHealthTable,
    private readonly health: DestinationHealth,
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
    const [ruled, free] = [candidates.filter(isRuled), candidates.filter((one) => !isRuled(one))];
    const found = [await this.claimFreely(free, request.leaseMs), await this.claimByRules(ruled, request.leaseMs)];
    const claims = found.flatMap((one) => one.claims);
    const claimed = Map.groupBy(claims, ({ delivery }) => destinationKey(delivery));
    const times = [...blocked.map(({ blockedForMs }) => blockedForMs), ...found.flatMap(({ waits }) => waits)];
    return {
      claims,
      againInMs: times.length === 0 ? undefined : Math.max(1, Math.ceil(Math.min(...times))),
      isAll:
        candidates.length === open.length &&
        !found.some(({ areLimited }) => areLimited) &&
        candidates.every((one) => (claimed.get(destinationKey(one))?.length ?? 0) < one.share),
    };
  }

  /** Destinations with something due. A newer version of a document starts with no known health, so nothing blocks it or disables it. */
  private async due(): Promise<DueDestination[]> {
    const lookedAtMs = performance.now();
    const due = await this.healthTable.due();
    const newer = due
      .map((one) => ({ ...one, documentVersion: this.documentOf(one)?.version ?? 0, known: one.documentVersion }))
      .filter(({ documentVersion, known }) => known === null || documentVersion > known);
    await this.healthTable.adopt(newer);
    const fresh = new Map(newer.map((one) => [destinationKey(one), one]));
    const current = due.map((one): DueDestination => {
      const version = fresh.get(destinationKey(one))?.documentVersion;
      return version === undefined ? one : { ...one, documentVersion: version, disabled: false, breaker: 'calm', blockedForMs: 0 };
    });
    this.health.see(current, lookedAtMs);
    return current;
  }

  /** Claims in one statement, without waiting for other processes as long as the concurrency of a destination is not reached. */
  private async claimFreely(candidates: readonly Candidate[], leaseMs: number): Promise<Claims> {
    if (candidates.length === 0) return nothing;
    const nowMs = performance.now();
    const rooms = candidates.map(({ tenant, destination, share, limit: { concurrency } }) => {
      const isCrowded = (this.crowded.get(destinationKey({ tenant, destination })) ?? 0) > nowMs;
      return { tenant, destination, free: share, concurrency, mode: isCrowded ? ('exclusive' as const) : ('shared' as const) };
    });
    const { deliveries, unsuited } = await this.table.claim(rooms, leaseMs);
    const claims = deliveries.map((delivery) => ({ delivery, destinationDisabled: false }));
    const areLimited = unsuited.length > 0 || rooms.some(({ mode }) => mode !== 'shared');
    if (unsuited.length === 0) return { claims, areLimited, waits: [] };
    for (const one of unsuited) this.crowded.set(destinationKey(one), nowMs + crowdedForMs);
    const keys = new Set(unsuited.map(destinationKey));
    const rest = await this.claimByRules(
      candidates.filter((one) => keys.has(destinationKey(one))),
      leaseMs,
    );
    return { claims: [...claims, ...rest.claims], areLimited, waits: rest.waits };
  }

  /** Claims under the lock of the destinations' health: by their rates, and as many probes as a breaker lets through. */
  private async claimByRules(candidates: readonly Candidate[], leaseMs: number): Promise<Claims> {
    if (candidates.length === 0) return nothing;
    const wanted = new Map(candidates.map((one) => [destinationKey(one), one]));
    return this.database.transaction(async (session) => {
      const locked = await this.healthTable.lock(session, candidates);
      const rooms = locked.map((one) => roomOf(one, wanted.get(destinationKey(one))!)).filter(({ free }) => free > 0);
      const deliveries = rooms.length === 0 ? [] : (await this.table.claim(rooms, leaseMs, session)).deliveries;
      await this.healthTable.saveRates(session, ratesAfter(locked, wanted, deliveries));
      const disabled = new Set(locked.filter(({ health }) => health.disabled !== null).map(destinationKey));
      return {
        claims: deliveries.map((delivery) => ({ delivery, destinationDisabled: disabled.has(destinationKey(delivery)) })),
        areLimited: true,
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

/** True if something else than its concurrency decides what may be claimed: its rate, its breaker, or that it is disabled. */
function isRuled({ disabled, breaker, limit: { perSecond } }: Candidate): boolean {
  return disabled || breaker === 'open' || perSecond !== undefined;
}

/** Deliveries to a disabled destination are parked without a request, so nothing limits them. */
function roomOf({ tenant, destination, health, nextDueMs, nowMs }: LockedHealth, { share, limit }: Candidate): ClaimRoom {
  const room = { tenant, destination, free: share, concurrency: limit.concurrency, mode: 'ruled' as const };
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
