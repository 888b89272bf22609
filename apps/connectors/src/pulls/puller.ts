import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import type { Connections } from '#libs/connections';
import { DomainError, failureReason, pullState, pullStates } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import type { TenantConnections } from '#libs/connectors';
import type { EventAppender } from '#libs/intake';
import { RecordTooLarge } from '#libs/messaging';
import type { Configuration } from '#libs/persistence';
import { StorageUnavailable } from '#libs/persistence';
import { delayBefore, standardRetry } from '#libs/retries';
import type { RetryPolicy } from '#libs/retries';
import { sleep } from '#libs/time';
import { SpanKind, counter, currentTraceparent, gauge, inSpan, logger, traceIdOf, workDone } from '#libs/tracing';
import { ClaimLoop, Periodically } from '#libs/work';
import type { Lease } from '#libs/work';
import { greater, isGreater, storedCursor } from './cursor-value.js';
import type { CursorValue } from './cursor-value.js';
import { Pull, positionText, pullScheme, storedPosition } from './pull.js';
import type { ListedPage, PassStart } from './pull.js';
import { PullTooLong } from './pull.errors.js';
import type { PullClaim, PullProgressTable, PulledPage } from './pull-progress.table.js';

export interface PullerOptions {
  /** The length of a claim without being renewed, ms. Default 15 000. */
  readonly leaseMs?: number;
  /** The longest time between two looks, ms. Default 5 000. */
  readonly pollMs?: number;
}

/** Pulls that one process reads at once. */
const atOnce = 16;
/** How long a pull reads before others that wait get the claim, ms. */
const turnMs = 20_000;
/** A pause for the rate that is longer gives the claim back, ms. */
const longestPauseMs = 1_000;
/** Events that are appended at once. */
const appendedAtOnce = 500;
/** The longest stored place in a list, in characters. */
const longestPosition = 65_536;
const stopMs = 10_000;
const measureEveryMs = 15_000;
const forgetEveryMs = 3_600_000;

/** The system is away, or limits requests. */
const whenAway: RetryPolicy = { ...standardRetry, maxDelayMs: 300_000 };
/** A repeat hardly helps, but the next pass is not left out for ever. */
const whenRefused: RetryPolicy = { ...standardRetry, initialDelayMs: 30_000, maxDelayMs: 3_600_000 };
/** Our own log or storage is away. */
const whenOurs: RetryPolicy = { ...standardRetry, maxDelayMs: 5_000 };
/** A notice ends the wait for a person, unless it is lost. */
const consentLookMs = 300_000;

const itemsRead = counter(
  'millrace_pull_items_total',
  'Items that pulls read: new ones, which became events; repeated ones, whose event is recorded; and skipped ones, which are larger than an event may be.',
  { tenant: 'the tenant', outcome: ['new', 'repeated', 'skipped'] },
);
const pagesRead = counter('millrace_pull_pages_total', 'Pages of lists that pulls asked for, by outcome.', {
  tenant: 'the tenant',
  outcome: '`ok`, or a code of failures.md',
});
const counted = gauge('millrace_pulls', 'Pulls by tenant and state, as all processes share it.', {
  tenant: 'the tenant',
  state: pullStates,
});
const overdue = gauge(
  'millrace_pull_overdue_seconds',
  'How long ago the time of the pull came that waits longest and that no process reads; 0 if none waits. Each process of the service measures all.',
  {},
);
const log = logger('pulls');

/**
 * Reads the lists of all pulls. Every process does, and a claim in Postgres lets one of them read each. A page is noted after the log has its events, so
 * one whose process ends in between is read again, and its events have the same ids.
 */
export class Puller implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loop: ClaimLoop<PullClaim>;
  private readonly chores: readonly Periodically[];
  /** By tenant and name; undefined for a document of another release that this one cannot read. */
  private known = new Map<string, { readonly version: number; readonly pull: Pull | undefined }>();
  private stopListening: (() => void)[] = [];
  private resuming: Promise<void> = Promise.resolve();

  constructor(
    private readonly configuration: Pick<Configuration, 'pulls' | 'ready' | 'onRead' | 'readAgain'>,
    private readonly table: PullProgressTable,
    private readonly connections: TenantConnections,
    private readonly states: Pick<Connections, 'onChange'>,
    private readonly appender: EventAppender,
    { leaseMs = 15_000, pollMs = 5_000 }: PullerOptions = {},
  ) {
    this.loop = new ClaimLoop<PullClaim>({
      what: 'pulls',
      concurrency: atOnce,
      leaseMs,
      pollMs,
      stopMs,
      claim: async (free) => {
        await this.learn();
        const claims = await this.table.claim(free, leaseMs);
        return claims.length > 0 ? { claims } : { claims, againInMs: await this.table.nextDueMs() };
      },
      renew: (claims) => this.table.renew(claims, leaseMs),
      work: (claim, lease) => this.work(claim, lease),
      lost: ({ tenant, name }) => new Error(`The claim on the pull ${name} of ${tenant} is lost`),
    });
    this.chores = [
      new Periodically('measuring pulls', measureEveryMs, () => this.measure(), { atOnce: true }),
      new Periodically('forgetting removed pulls', forgetEveryMs, () => this.table.forgetRemoved()),
    ];
  }

  onApplicationBootstrap(): void {
    this.stopListening = [
      this.configuration.onRead(() => this.loop.wake()),
      this.states.onChange((changed) => {
        this.resuming = this.resuming.then(() => this.resume(changed)).catch((error: unknown) => report(error, {}));
      }),
    ];
    for (const chore of this.chores) chore.start();
    this.loop.start();
  }

  /** Pages under way are noted; the next ones are read by other processes. */
  async beforeApplicationShutdown(): Promise<void> {
    for (const stop of this.stopListening) stop();
    await this.loop.stop();
    await Promise.all(this.chores.map((chore) => chore.stop()));
    await this.resuming;
  }

  /** Looks at once for pulls that are due. */
  wake(): void {
    this.loop.wake();
  }

  /** Takes over the documents that are new, and forgets those that are gone. @throws StorageUnavailable */
  private async learn(): Promise<void> {
    if (!this.configuration.ready()) return;
    const documents = this.configuration.pulls();
    const known = new Map<string, { version: number; pull: Pull | undefined }>();
    const fresh: Pull[] = [];
    for (const stored of documents) {
      const key = `${stored.tenant}/${stored.name}`;
      const before = this.known.get(key);
      if (before?.version === stored.version) known.set(key, before);
      else {
        const pull = compiled(stored);
        known.set(key, { version: stored.version, pull });
        if (pull !== undefined) fresh.push(pull);
      }
    }
    await this.table.adopt(
      fresh.map((pull) => ({
        tenant: pull.tenant,
        name: pull.name,
        version: pull.version,
        connection: pull.spec.connection,
        list: pull.list,
        firstAtMs: pull.firstAtMs(),
      })),
    );
    this.known = known;
  }

  private async resume(changed: { readonly tenant: string; readonly name: string } | undefined): Promise<void> {
    if (await this.table.resume(changed)) this.loop.wake();
  }

  private async measure(): Promise<void> {
    const rows = await this.table.conditions();
    overdue.set({}, Math.max(0, ...rows.map(({ overdueSeconds }) => overdueSeconds)));
    counted.reset();
    for (const tenant of new Set(rows.map((row) => row.tenant))) {
      const own = rows.filter((row) => row.tenant === tenant).map((row) => pullState(row));
      for (const state of pullStates) counted.set({ tenant, state }, own.filter((one) => one === state).length);
    }
  }

  /** Reads on where a pass stands. Never rejects, unless Postgres is away: the claim ends then. */
  private async work(claim: PullClaim, lease: Lease): Promise<void> {
    const pull = await this.pullOf(claim);
    if (pull === undefined) return;
    try {
      await this.read(pull, claim, lease);
    } catch (error) {
      if (lease.signal.aborted) return this.table.release(claim, 0); // changes nothing if the claim is lost
      await this.fail(claim, error);
    }
  }

  /** The document in the version of the claim. Without it, the claim is given back: a newer version is taken over, or a removed one forgotten. */
  private async pullOf(claim: PullClaim): Promise<Pull | undefined> {
    const key = `${claim.tenant}/${claim.name}`;
    if (this.known.get(key)?.version !== claim.version) {
      await this.configuration.readAgain(); // the notice of a new document may be on its way
      await this.learn();
      if (!this.known.has(key)) await this.table.forgetRemoved();
    }
    const known = this.known.get(key);
    if (known?.version === claim.version && known.pull !== undefined) return known.pull;
    await this.table.release(claim, known === undefined || known.version < claim.version ? 5_000 : 0);
    return undefined;
  }

  private async read(pull: Pull, claim: PullClaim, lease: Lease): Promise<void> {
    const startedAt = performance.now();
    const start: PassStart = {
      since: storedCursor(claim.since) ?? pull.spec.cursor?.start ?? null,
      startedAtMs: claim.startedAtMs,
    };
    let position = claim.position;
    let reached = storedCursor(claim.reached);
    for (let pages = claim.pages + 1; ; pages += 1) {
      const page = await this.readPage(pull, claim, { start, reached, position, lease });
      if (page === undefined) return; // another process has claimed it meanwhile
      reached = greater(reached, page.reached);
      const next = page.next === undefined ? undefined : positionText(page.next);
      const stored = { ...page.read, reached: cursorText(reached) };
      const restMs = restAfter(pull, page.read.items);
      if (next === undefined || next === position) return this.end(pull, claim, { start, reached, stored, restMs });
      if (next.length > longestPosition || pages >= pull.spec.maxPages) {
        if (await this.table.note(claim, stored, next)) throw new PullTooLong(pull.name, pages);
        return;
      }
      if (!(await this.table.note(claim, stored, next))) return;
      position = next;
      if (restMs > longestPauseMs || performance.now() - startedAt > turnMs) return this.table.release(claim, restMs);
      await sleep(restMs, lease.signal);
    }
  }

  /** Reads a page, and appends its events. Undefined if the claim is lost. */
  private readPage(
    pull: Pull,
    claim: PullClaim,
    {
      start,
      reached: before,
      position,
      lease,
    }: { start: PassStart; reached: CursorValue | undefined; position: string | null; lease: Lease },
  ): Promise<{ read: Omit<PulledPage, 'reached'>; reached: CursorValue | undefined; next: ListedPage['next'] } | undefined> {
    return inSpan('pull page', { kind: SpanKind.PRODUCER }, async (span) => {
      const startedAt = performance.now();
      const { tenant, name } = claim;
      const traceparent = currentTraceparent(span);
      const connection = this.connections.open(tenant, pull.spec.connection);
      const page = await pull
        .page(this.connections.connectors, connection, start, { position: storedPosition(position), traceparent, signal: lease.signal })
        .catch((error: unknown) => {
          if (!lease.signal.aborted) pagesRead.inc({ tenant, outcome: failureReason(error).code });
          throw error;
        });
      pagesRead.inc({ tenant, outcome: 'ok' });
      const { events, reached } = await pull.eventsOf(page.items, start.since ?? before);
      lease.signal.throwIfAborted();
      const appended = await this.append(tenant, events, traceparent);
      const items = events.length;
      const { repeated, skipped } = appended;
      itemsRead.inc({ tenant, outcome: 'new' }, items - repeated - skipped);
      itemsRead.inc({ tenant, outcome: 'repeated' }, repeated);
      itemsRead.inc({ tenant, outcome: 'skipped' }, skipped);
      const work = { tenant, pull: name, items, repeated, skipped, isLast: page.next === undefined, traceId: traceIdOf(traceparent) };
      workDone(log, 'pull page', { outcome: 'ok', durationMs: performance.now() - startedAt, ...work });
      return { read: { items, ...appended }, reached, next: page.next };
    });
  }

  /** Appends the events that are not recorded yet, in their order. */
  private async append(
    tenant: string,
    events: readonly EventReceived[],
    traceparent: string | undefined,
  ): Promise<Pick<PulledPage, 'repeated' | 'skipped' | 'lastEventId'>> {
    let [repeated, skipped] = [0, 0];
    let lastEventId: string | null = null;
    for (let at = 0; at < events.length; at += appendedAtOnce) {
      const some = events.slice(at, at + appendedAtOnce);
      const known = await this.table.knownEvents(
        tenant,
        some.map(({ eventId }) => eventId),
      );
      const fresh = some.filter(({ eventId }) => !known.has(eventId));
      repeated += some.length - fresh.length;
      skipped += await this.appendFresh(fresh, traceparent);
      lastEventId = fresh.at(-1)?.eventId ?? lastEventId;
    }
    return { repeated, skipped, lastEventId };
  }

  /** @returns how many are larger than an event may be @throws LogUnavailable */
  private async appendFresh(events: readonly EventReceived[], traceparent: string | undefined): Promise<number> {
    if (events.length === 0) return 0;
    try {
      await this.appender.append(events, () => pullScheme, traceparent);
      return 0;
    } catch (error) {
      if (!(error instanceof RecordTooLarge)) throw error;
      if (events.length === 1) {
        const { tenant, source, eventId } = events[0]!;
        log.warn({ tenant, pull: source, eventId, reason: error.message }, 'an item is left out: it is larger than an event may be');
        return 1;
      }
    }
    let skipped = 0;
    for (const event of events) skipped += await this.appendFresh([event], traceparent);
    return skipped;
  }

  private async end(
    pull: Pull,
    claim: PullClaim,
    { start, reached, stored, restMs }: { start: PassStart; reached: CursorValue | undefined; stored: PulledPage; restMs: number },
  ): Promise<void> {
    const { since } = start;
    const cursor = greater(since ?? undefined, reached);
    const hasMoved = cursor !== undefined && (since === null || isGreater(cursor, since));
    const connection = this.connections.open(claim.tenant, pull.spec.connection);
    // The output of an operation without pages is often cut, such as by LIMIT: what follows is read at once.
    const goesOn = hasMoved && !pull.isPaged(this.connections.connectors, connection);
    const next = goesOn ? { notBeforeMs: restMs } : pull.next();
    await this.table.end(claim, stored, cursorText(cursor), { ...next, notBeforeMs: Math.max(next.notBeforeMs, restMs) });
  }

  private async fail(claim: PullClaim, error: unknown): Promise<void> {
    const { tenant, name, failures } = claim;
    report(error, { tenant, pull: name });
    const { code, message } = failureReason(error);
    const isPassing = error instanceof DomainError && error.outcome === 'retry';
    await this.table.fail(claim, {
      code,
      message,
      againAfterMs: delayAfter(error, failures + 1),
      fromFirstPage: !isPassing, // the place in the list may have ended, as cursors of many systems do
    });
  }
}

function delayAfter(error: unknown, failures: number): number {
  if (!(error instanceof DomainError) || error.outcome !== 'retry') return delayBefore(whenRefused, failures);
  if (error.code === 'connection.needsReauth') return consentLookMs;
  const policy = error.ours ? whenOurs : whenAway;
  return delayBefore(policy, failures, error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs });
}

function restAfter({ spec: { rate } }: Pull, items: number): number {
  return Math.ceil(Math.max(1 / rate.pagesPerSecond, items / rate.itemsPerSecond) * 1_000);
}

function cursorText(value: CursorValue | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** Undefined for a document of another release that this one cannot read. */
function compiled(stored: ConstructorParameters<typeof Pull>[0]): Pull | undefined {
  try {
    return new Pull(stored);
  } catch (error) {
    report(error, { tenant: stored.tenant, pull: stored.name });
    return undefined;
  }
}

function report(error: unknown, about: { tenant?: string; pull?: string }): void {
  const isExpected = error instanceof DomainError || error instanceof StorageUnavailable;
  if (isExpected) log.warn({ ...about, code: error.code, reason: error.message }, 'a pull has to wait');
  else log.error({ ...about, err: error }, 'a pull cannot be read');
}
