import { Injectable } from '@nestjs/common';
import { longestRetryDelayMs } from '#libs/contracts';
import type { DeliveryAttempted } from '#libs/contracts';
import { deliveriesPlannedChannel, newDeliveryColumns } from '#libs/deliveries';
import type { NewDelivery } from '#libs/deliveries';
import { Database, columns, longestLeaseMs, statement, storableText } from '#libs/persistence';
import type { Session, Subscription } from '#libs/persistence';
import { longestDelay } from '#libs/retries';
import type { DestinationName } from '../destinations/destination-name.js';

/** A delivery that this process may attempt, as long as its fence is the newest. */
export interface ClaimedDelivery {
  readonly tenant: string;
  readonly id: string;
  readonly eventId: string;
  readonly runId: string;
  readonly flow: string;
  readonly generation: number;
  readonly customer: string;
  readonly destination: string;
  readonly payload: string;
  readonly attempts: number;
  /** Retries used up since it was planned or redelivered. */
  readonly retries: number;
  readonly strict: boolean;
  /** True: it has left its queue, and is due at its own time. */
  readonly aside: boolean;
  readonly fence: number;
  readonly traceparent: string | null;
  readonly eventReceivedAt: Date;
  readonly redelivered: boolean;
  /** When the first attempt began that the destination took, or may have taken; null if there is none. */
  readonly reachedAt: Date | null;
  /** True: its flow consents to more than one effect. */
  readonly atLeastOnce: boolean;
}

/** The result of an attempt, and the state of the delivery after it. */
export interface AttemptResult {
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly status: number | null;
  readonly excerpt: string | null;
  /** Null if it succeeded. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** True: it failed, and the destination may have taken the payload all the same. */
  readonly isUncertain: boolean;
  readonly state: DeliveryAttempted['state'];
  /** The wait until the next attempt; null unless the state is `pending`. */
  readonly retryInMs: number | null;
}

/** An attempt as the tables have it. Its announcement is made from this. */
export interface RecordedAttempt {
  readonly tenant: string;
  readonly deliveryId: string;
  readonly eventId: string;
  readonly runId: string;
  readonly customer: string;
  readonly destination: string;
  readonly traceparent: string | null;
  readonly number: number;
  readonly state: DeliveryAttempted['state'];
  readonly code: string | null;
  readonly message: string | null;
  readonly at: Date;
}

/** How many deliveries to a destination may be claimed. */
export interface ClaimRoom {
  readonly tenant: string;
  readonly destination: string;
  readonly free: number;
  /** The most that all processes together may have claimed. */
  readonly concurrency: number;
  readonly mode: ClaimMode;
}

/**
 * `shared`: beside other claims of the destination, and only if all that is due fits its concurrency. `exclusive`: claims of the destination take
 * turns. Both claim nothing if its health limits attempts. `ruled`: exclusive, after the caller applied the rules of its health.
 */
export type ClaimMode = 'shared' | 'exclusive' | 'ruled';

/** The claimed deliveries, and the destinations of which nothing was claimed because the mode does not suit their state. */
export interface ClaimedDeliveries {
  readonly deliveries: ClaimedDelivery[];
  readonly unsuited: DestinationName[];
}

/** The key of a queue. Deliveries of one queue are attempted in the order in which they were planned. */
export interface QueueKey {
  readonly tenant: string;
  readonly destination: string;
  readonly customer: string;
}

/** The result of an attempt, with the claim under which it was made. */
export interface Settlement {
  readonly delivery: ClaimedDelivery;
  readonly attempt: AttemptResult;
}

/** The effects of settling one attempt. */
export interface Settled {
  /** The number of the recorded attempt; undefined if the claim was lost: then nothing was changed. */
  readonly number: number | undefined;
  /** The delivery's state: that of the attempt, or `superseded` instead of `pending`. */
  readonly state: DeliveryAttempted['state'] | undefined;
  /** True: another delivery may have become due by it, or by one that was settled with it. */
  readonly gaveTurn: boolean;
}

/** `number`: the place of the attempt among those given, from 1; null: another delivery got its turn. */
interface SettledRow {
  readonly number: number | null;
  readonly attempts: number;
  readonly state: DeliveryAttempted['state'];
}

/** The effect of a redeliver or skip command. `busy`: an attempt is under way. `unknown`: there is no such delivery. */
export type CommandEffect = 'applied' | 'busy' | 'unknown';

/** Truncated to the column's milliseconds. Rounded up, a delivery would not be due yet. */
const now = `date_trunc('milliseconds', clock_timestamp())`;
const afterMs = (ms: string): string => `${now} + ${ms} * interval '1 millisecond'`;

/** In its queue: pending, with or without its turn, or parked with a strict order. */
const inQueue = `NOT aside AND (state = 'pending' OR (strict AND state = 'parked'))`;
const isFree = `(lease_until IS NULL OR lease_until < statement_timestamp())`;

const queueColumns = columns<QueueKey>({
  tenant_id: ['text', (queue) => queue.tenant],
  destination: ['text', (queue) => queue.destination],
  customer: ['text', (queue) => queue.customer],
});
const lockQueues = statement('delivery.lockQueues', `SELECT lock_delivery_queues(${queueColumns.parameters()})`);

const insert = statement('delivery.insert', `SELECT plan_deliveries(${newDeliveryColumns.parameters()}) AS added`);

const roomColumns = columns<ClaimRoom>({
  tenant_id: ['text', (room) => room.tenant],
  destination: ['text', (room) => room.destination],
  free: ['integer', (room) => room.free],
  concurrency: ['integer', (room) => room.concurrency],
  mode: ['text', (room) => room.mode],
});

const claim = statement(
  'delivery.claim',
  `SELECT tenant, destination, id, event_id AS "eventId", run_id AS "runId", flow, generation, customer, payload, attempts, retries, strict, aside,
     fence, traceparent, event_received_at AS "eventReceivedAt", redelivered, reached_at AS "reachedAt", at_least_once AS "atLeastOnce"
   FROM claim_deliveries($1, ${roomColumns.parameters(2)})`,
);

const claimColumns = columns<Pick<ClaimedDelivery, 'tenant' | 'id' | 'fence'>>({
  tenant_id: ['text', (delivery) => delivery.tenant],
  id: ['text', (delivery) => delivery.id],
  fence: ['bigint', (delivery) => delivery.fence],
});

/** Renews only claims that are still held. A renewal that comes after the claim was settled or released would block the delivery for nothing. */
const renew = statement(
  'delivery.renew',
  `WITH held AS (
     SELECT delivery.tenant_id, delivery.id FROM delivery
     JOIN ${claimColumns.unnest('held', 2)}
       ON delivery.tenant_id = held.tenant_id AND delivery.id = held.id AND delivery.fence = held.fence
     WHERE state = 'pending' AND lease_until IS NOT NULL
     ORDER BY delivery.tenant_id, delivery.id FOR UPDATE OF delivery)
   UPDATE delivery SET lease_until = ${afterMs('$1')} FROM held WHERE delivery.tenant_id = held.tenant_id AND delivery.id = held.id
   RETURNING delivery.id`,
);
const release = statement(
  'delivery.release',
  `UPDATE delivery SET lease_until = NULL, reached_at = coalesce(reached_at, $4) WHERE tenant_id = $1 AND id = $2 AND fence = $3`,
);

/** In the order of the parameters of the SQL function `settle_deliveries`. */
const settlementColumns = columns<Settlement>({
  tenant_id: ['text', ({ delivery }) => delivery.tenant],
  id: ['text', ({ delivery }) => delivery.id],
  fence: ['bigint', ({ delivery }) => delivery.fence],
  destination: ['text', ({ delivery }) => delivery.destination],
  customer: ['text', ({ delivery }) => delivery.customer],
  state: ['text', ({ attempt }) => attempt.state],
  code: ['text', ({ attempt }) => attempt.error?.code],
  message: ['text', ({ attempt }) => storableText(attempt.error?.message ?? null)],
  retry_in_ms: ['float8', ({ attempt }) => attempt.retryInMs],
  status: ['integer', ({ attempt }) => attempt.status],
  excerpt: ['text', ({ attempt }) => storableText(attempt.excerpt)],
  started_at: ['timestamptz', ({ attempt }) => attempt.startedAt],
  finished_at: ['timestamptz', ({ attempt }) => attempt.finishedAt],
  uncertain: ['boolean', ({ attempt }) => attempt.isUncertain],
});
const settle = statement(
  'delivery.settle',
  `SELECT place AS number, attempt_number AS attempts, state_after AS state FROM settle_deliveries(${settlementColumns.parameters()})`,
);

const callNext = statement('delivery.callNext', `SELECT call_next_deliveries(${queueColumns.parameters()})`);

const queueOf = statement(
  'delivery.queueOf',
  `SELECT tenant_id AS tenant, destination, customer FROM delivery WHERE tenant_id = $1 AND id = $2`,
);
const wasApplied = statement(
  'delivery.wasApplied',
  `SELECT FROM delivery_command WHERE tenant_id = $1 AND delivery_id = $2 AND command_id = $3`,
);
const noteApplied = statement(
  'delivery.noteApplied',
  `INSERT INTO delivery_command (tenant_id, delivery_id, command_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
);
const forgetApplied = statement(
  'delivery.forgetApplied',
  `DELETE FROM delivery_command WHERE applied_at < statement_timestamp() - $1 * interval '1 millisecond'`,
);

/**
 * A delivery that is in its queue keeps its position, and is attempted now or when its turn comes. Every other one goes aside and is due at
 * once.
 */
const restart = statement(
  'delivery.restart',
  `UPDATE delivery SET state = 'pending', retries = 0, last_command_id = $3, lease_until = NULL, settled_at = NULL,
     reached_at = CASE WHEN $4 THEN NULL ELSE reached_at END,
     aside = NOT (${inQueue}), held_back = NOT (${inQueue}),
     next_attempt_at = CASE WHEN ${inQueue} AND next_attempt_at IS NULL THEN NULL ELSE ${now} END
   WHERE tenant_id = $1 AND id = $2 AND ${isFree} RETURNING id`,
);
const superseded = statement('delivery.superseded', `SELECT FROM delivery WHERE tenant_id = $1 AND id = $2 AND is_superseded(delivery)`);
/** Skips only a parked delivery: one that was redelivered in the meantime is pending again. */
const skip = statement(
  'delivery.skip',
  `UPDATE delivery SET state = 'skipped', settled_at = ${now} WHERE tenant_id = $1 AND id = $2 AND state = 'parked' RETURNING id`,
);

const announcedColumns = columns<Pick<RecordedAttempt, 'tenant' | 'deliveryId' | 'number'>>({
  tenant_id: ['text', (attempt) => attempt.tenant],
  id: ['text', (attempt) => attempt.deliveryId],
  number: ['integer', (attempt) => attempt.number],
});

const announced = statement(
  'delivery.announced',
  `WITH told AS (
     SELECT attempt.tenant_id, delivery_id, attempt.number FROM attempt
     JOIN ${announcedColumns.unnest('told')}
       ON attempt.tenant_id = told.tenant_id AND delivery_id = told.id AND attempt.number = told.number
     WHERE NOT announced ORDER BY attempt.tenant_id, delivery_id, attempt.number FOR UPDATE OF attempt)
   UPDATE attempt SET announced = true FROM told
   WHERE attempt.tenant_id = told.tenant_id AND attempt.delivery_id = told.delivery_id AND attempt.number = told.number`,
);
/**
 * Attempts whose announcement was not confirmed, old enough that no process is about to announce them, or finished by a clock that was far ahead. The lateral look-up reads one delivery per
 * attempt; a join was planned as a scan of all deliveries if Postgres had no statistics.
 */
const unannounced = statement(
  'delivery.unannounced',
  `SELECT delivery.tenant_id AS tenant, delivery.id AS "deliveryId", delivery.event_id AS "eventId", run_id AS "runId", customer, destination,
     traceparent, number, CASE WHEN number = attempts AND delivery.state <> 'skipped' THEN delivery.state ELSE 'pending' END AS state,
     attempt.error_code AS code, attempt.error_message AS message, attempt.finished_at AS at
   FROM (
     SELECT * FROM attempt WHERE NOT announced AND (finished_at < statement_timestamp() - $1 * interval '1 millisecond'
       OR finished_at > statement_timestamp() + interval '1 hour')
     ORDER BY finished_at LIMIT $2) AS attempt
   CROSS JOIN LATERAL (SELECT * FROM delivery WHERE delivery.tenant_id = attempt.tenant_id AND delivery.id = delivery_id LIMIT 1) AS delivery
   ORDER BY attempt.finished_at`,
);

/**
 * Ends waits that are longer than any that is made: they were reckoned before Postgres' clock stepped back. A lease is only shortened, because a
 * holder that is alive renews it, and its attempt would be made again.
 */
const endOverlongWaits = statement(
  'delivery.endOverlongWaits',
  `WITH shortened AS (
     UPDATE delivery SET lease_until = ${afterMs('$1')} WHERE lease_until IS NOT NULL AND lease_until > ${afterMs('$1')} RETURNING id),
   due AS (
     UPDATE delivery SET next_attempt_at = ${now} WHERE state = 'pending' AND next_attempt_at > ${afterMs('$2')} AND lease_until IS NULL RETURNING id)
   SELECT (SELECT count(*) FROM shortened) + (SELECT count(*) FROM due) AS ended`,
);

const backlog = statement(
  'delivery.backlog',
  `SELECT tenant_id AS tenant, count(*) AS pending, extract(epoch FROM statement_timestamp() - min(created_at))::float8 AS "oldestSeconds"
   FROM delivery WHERE state = 'pending' GROUP BY tenant_id`,
);

/** The tables `delivery`, `attempt` and `delivery_command`: deliveries in their queues, their attempts, and the commands that were applied to them. */
@Injectable()
export class DeliveryQueueTable {
  constructor(private readonly database: Database) {}

  /** Adds the deliveries that do not exist yet, each at the end of its queue. Returns their number. */
  async insert(deliveries: readonly NewDelivery[]): Promise<number> {
    const [row] = await this.database.query<{ added: number }>(insert, newDeliveryColumns.values(deliveries));
    return row!.added;
  }

  /** Calls the listener after deliveries were added, by whichever process. */
  onPlanned(listener: () => void): Promise<Subscription> {
    return this.database.listen(deliveriesPlannedChannel, listener);
  }

  /** Claims due deliveries. Claims of one destination take turns where that is needed to keep to its limits. */
  async claim(rooms: readonly ClaimRoom[], leaseMs: number, session: Session = this.database): Promise<ClaimedDeliveries> {
    const rows = await session.query<ClaimedDelivery | (DestinationName & { id: null })>(claim, [leaseMs, ...roomColumns.values(rooms)]);
    return { deliveries: rows.filter((row) => row.id !== null), unsuited: rows.filter(({ id }) => id === null) };
  }

  /** Returns the ids of the deliveries whose claim is still held. */
  async renew(held: readonly ClaimedDelivery[], leaseMs: number): Promise<Set<string>> {
    const rows = await this.database.query<{ id: string }>(renew, [leaseMs, ...claimColumns.values(held)]);
    return new Set(rows.map(({ id }) => id));
  }

  /**
   * Gives the claim back without a recorded attempt.
   * @param attemptedAt when an attempt began that may have reached the destination; null if nothing was sent
   */
  async release({ tenant, id, fence }: ClaimedDelivery, attemptedAt: Date | null): Promise<void> {
    await this.database.query(release, [tenant, id, fence, attemptedAt]);
  }

  /** Records the attempts of claims that are still held, in the order given, and gives the next of their queues their turns. */
  async settle(settlements: readonly Settlement[]): Promise<Settled[]> {
    const rows = await this.database.query<SettledRow>(settle, settlementColumns.values(settlements));
    const byPlace = new Map(rows.map((row) => [row.number, row]));
    const gaveTurn = byPlace.has(null);
    return settlements.map((_, at) => {
      const row = byPlace.get(at + 1);
      return { number: row?.attempts, state: row?.state, gaveTurn };
    });
  }

  /**
   * Makes a delivery pending again, whatever its state, with all its retries. The same command is applied once, and changes nothing if a newer delivery
   * of the same object takes the place of this one.
   * @param evenIfTaken true: what may have reached the destination before does not count
   */
  restart(tenant: string, id: string, commandId: string, evenIfTaken: boolean): Promise<CommandEffect> {
    return this.apply(tenant, id, commandId, async (session) => {
      const isSuperseded = (await session.query(superseded, [tenant, id])).length > 0;
      if (isSuperseded) return 'applied';
      const restarted = await session.query(restart, [tenant, id, commandId, evenIfTaken]);
      return restarted.length > 0 ? 'applied' : 'busy';
    });
  }

  /** Skips a parked delivery, so that the ones behind it go on. The same command is applied once. */
  skip(tenant: string, id: string, commandId: string): Promise<CommandEffect> {
    return this.apply(tenant, id, commandId, async (session) => {
      await session.query(skip, [tenant, id]);
      return 'applied';
    });
  }

  /** Deletes the record of applied commands that are older than what the log keeps. */
  async forgetCommands(olderThanMs: number): Promise<void> {
    await this.database.query(forgetApplied, [olderThanMs]);
  }

  async markAnnounced(attempts: readonly Pick<RecordedAttempt, 'tenant' | 'deliveryId' | 'number'>[]): Promise<void> {
    await this.database.query(announced, announcedColumns.values(attempts));
  }

  /** Attempts whose announcement was not confirmed, the oldest first. */
  unannounced(olderThanMs: number, limit: number): Promise<RecordedAttempt[]> {
    return this.database.query(unannounced, [olderThanMs, limit]);
  }

  /** Returns the number of waits for a retry or for the end of a lease that lay further ahead than any may, and are ended or shortened now. */
  async endOverlongWaits(): Promise<number> {
    const [row] = await this.database.query<{ ended: number }>(endOverlongWaits, [longestLeaseMs, longestDelay(longestRetryDelayMs)]);
    return row!.ended;
  }

  /** Number and age of pending deliveries, by tenant. */
  backlog(): Promise<{ tenant: string; pending: number; oldestSeconds: number }[]> {
    return this.database.query(backlog);
  }

  private async apply(
    tenant: string,
    id: string,
    commandId: string,
    work: (session: Session) => Promise<CommandEffect>,
  ): Promise<CommandEffect> {
    const [queue] = await this.database.query<QueueKey>(queueOf, [tenant, id]);
    if (queue === undefined) return 'unknown';
    return this.inQueues([queue], async (session) => {
      const before = await session.query(wasApplied, [tenant, id, commandId]);
      if (before.length > 0) return 'applied';
      const answer = await work(session);
      if (answer !== 'applied') return answer;
      await session.query(noteApplied, [tenant, id, commandId]);
      await session.query(callNext, queueColumns.values([queue]));
      return answer;
    });
  }

  private inQueues<T>(queues: readonly QueueKey[], work: (session: Session) => Promise<T>): Promise<T> {
    return this.database.transaction(async (session) => {
      await session.query(lockQueues, queueColumns.values(queues));
      return work(session);
    });
  }
}
