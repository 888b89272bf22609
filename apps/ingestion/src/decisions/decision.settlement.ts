import { Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { messageOf } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { settling, settlingValues } from '#libs/decisions';
import type { AwaitedEvent } from '#libs/decisions';
import type { Json } from '#libs/json';
import { Database, statement } from '#libs/persistence';
import { sleep } from '#libs/time';
import { counter, gauge, logger } from '#libs/tracing';

/** The decision that counts, for its caller and for everybody else. */
export interface CountedDecision {
  readonly decision: Json;
  /** The code of the reason for the default decision; null: the flow decided. */
  readonly reason: string | null;
}

/** The end of a request for its caller; `job`: there is no decision to answer with, so the caller is told where to look for it. */
export type RequestEnd = CountedDecision | 'job';

interface StoredEnd {
  readonly state: 'running' | 'waiting' | 'completed' | 'failed';
  readonly decision: Json;
  readonly defaultReason: string | null;
  readonly errorCode: string | null;
  readonly decideBy: Date | null;
}

const endColumns = 'state, decision, default_reason AS "defaultReason", error_code AS "errorCode", decide_by AS "decideBy"';
const settle = statement('decision.settle', settling(endColumns));
/** The first generation that completed, else the last, as jobs are shown. */
const stored = statement(
  'decision.stored',
  `SELECT ${endColumns} FROM run WHERE tenant_id = $1 AND event_id = $2 AND flow = $3
   ORDER BY state = 'completed' DESC, CASE WHEN state = 'completed' THEN generation ELSE -generation END LIMIT 1`,
);

/** Answers that are confirmed later at most. What is beyond is confirmed by the handler of the record. */
const mostUnconfirmed = 10_000;
const confirmAgainAfterMs = 2_000;

const open = gauge('millrace_decisions_unconfirmed', 'Default decisions that were answered and are not stored yet.', {});
const disagreed = counter(
  'millrace_decisions_disagreed_total',
  'Default decisions that were answered unconfirmed and are not what counts.',
  {},
);
const log = logger('decisions');

/** Settles with Postgres which decision counts. */
@Injectable()
export class DecisionSettlement implements OnApplicationShutdown {
  private readonly unconfirmed = new Map<string, AwaitedEvent>();
  private readonly stopping = new AbortController();
  private confirming: Promise<void> | undefined;

  constructor(private readonly database: Database) {}

  /**
   * Stores the default decision, unless the run has ended, or has no deadline or a later one. The default decision also answers for a run with a deadline
   * that was cancelled.
   * @throws StorageUnavailable
   */
  async settle(event: AwaitedEvent): Promise<RequestEnd> {
    const values = settlingValues(event, 'decision.deadline', undefined);
    const [settled] = await this.database.query<StoredEnd>(settle, values);
    const { state, decision, defaultReason, errorCode, decideBy } = settled!;
    if (state === 'completed') return { decision, reason: defaultReason };
    if (state !== 'failed') return 'job';
    const known = await this.stored(event);
    if (known !== undefined) return known;
    return decideBy === null ? 'job' : { decision: event.request.deadline.default, reason: errorCode };
  }

  /**
   * Reads the end of an earlier request with the same id. Undefined if there is none yet.
   * @throws StorageUnavailable
   */
  async stored({ tenant, eventId, request }: EventReceived): Promise<RequestEnd | undefined> {
    const [found] = await this.database.query<StoredEnd>(stored, [tenant, eventId, request?.flow]);
    if (found?.state === 'completed') return { decision: found.decision, reason: found.defaultReason };
    return found?.state === 'failed' && found.decideBy === null ? 'job' : undefined;
  }

  /** Settles later what was answered with the default decision while Postgres was away, and counts where the flow had decided. */
  confirmLater(event: AwaitedEvent): void {
    if (this.unconfirmed.size >= mostUnconfirmed) return;
    this.unconfirmed.set(event.eventId, event);
    open.set(this.unconfirmed.size);
    this.confirming ??= this.confirm().finally(() => (this.confirming = undefined));
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.confirming;
  }

  private async confirm(): Promise<void> {
    const { signal } = this.stopping;
    while (this.unconfirmed.size > 0 && !signal.aborted) {
      await this.confirmAll().catch((error: unknown) => log.warn({ reason: messageOf(error) }, 'default decisions are confirmed later'));
      if (this.unconfirmed.size > 0) await sleep(confirmAgainAfterMs, signal).catch(() => undefined);
    }
  }

  private async confirmAll(): Promise<void> {
    for (const [key, event] of this.unconfirmed) {
      const end = await this.settle(event);
      this.unconfirmed.delete(key);
      open.set(this.unconfirmed.size);
      if (end !== 'job' && end.reason !== null) continue;
      disagreed.inc();
      const { tenant, eventId, request } = event;
      log.warn(
        { tenant, eventId, flow: request.flow },
        'a caller was answered with the default decision, unconfirmed, and it is not the one that counts',
      );
    }
  }
}
