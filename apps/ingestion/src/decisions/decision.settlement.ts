import { Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { messageOf } from '#libs/contracts';
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

interface StoredEnd {
  readonly state: string;
  readonly decision: Json;
  readonly defaultReason: string | null;
  readonly errorCode: string | null;
}

const settle = statement('decision.settle', settling('state, decision, default_reason AS "defaultReason", error_code AS "errorCode"'));

/** Answers that are confirmed later at most. What is beyond is confirmed by the handler of the record. */
const mostUnconfirmed = 10_000;
const confirmAgainAfterMs = 2_000;

const open = gauge('millrace_decisions_unconfirmed', 'Default decisions that were answered and are not stored yet.', {});
const disagreed = counter(
  'millrace_decisions_disagreed_total',
  'Default decisions that were answered unconfirmed although the flow had decided.',
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
   * Stores the default decision, unless the flow's own is stored. The default decision also answers for a run that was given up or cancelled.
   * @throws StorageUnavailable
   */
  async settle(event: AwaitedEvent): Promise<CountedDecision> {
    const values = settlingValues(event, 'decision.deadline', undefined);
    const [stored] = await this.database.query<StoredEnd>(settle, values);
    const { state, decision, defaultReason, errorCode } = stored!;
    return state === 'completed' ? { decision, reason: defaultReason } : { decision: event.request.deadline.default, reason: errorCode };
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
      const { reason } = await this.settle(event);
      this.unconfirmed.delete(key);
      open.set(this.unconfirmed.size);
      if (reason !== null) continue;
      disagreed.inc();
      const { tenant, eventId, request } = event;
      log.warn(
        { tenant, eventId, flow: request.flow },
        'a caller was answered with the default decision, unconfirmed, and the flow had decided',
      );
    }
  }
}
