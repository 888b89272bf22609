import { Injectable } from '@nestjs/common';
import type { DeliveryState } from '#libs/contracts';
import { Database, statement, storableText } from '#libs/persistence';
import type { Session } from '#libs/persistence';

/** A delivery on its way into the table. */
export interface NewDelivery {
  readonly tenant: string;
  readonly id: string;
  readonly eventId: string;
  readonly runId: string;
  readonly flow: string;
  readonly generation: number;
  readonly step: string;
  readonly customer: string;
  readonly destination: string;
  /** JSON text: these very characters are sent. */
  readonly payload: string;
  readonly retries: number;
  readonly traceparent: string | undefined;
  readonly eventReceivedAt: string;
}

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
  readonly retriesLeft: number;
  readonly fence: number;
  readonly traceparent: string | null;
  readonly eventReceivedAt: Date;
  readonly redelivered: boolean;
}

/** What an attempt came to, and what the delivery is after it. */
export interface AttemptRow {
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly status: number | null;
  readonly excerpt: string | null;
  /** Null where it succeeded. */
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly state: DeliveryState;
  /** Until the next attempt, where the state is still pending. */
  readonly retryInMs: number | null;
}

/** An attempt as it stands in the tables: what its announcement is made of. */
export interface RecordedAttempt {
  readonly tenant: string;
  readonly deliveryId: string;
  readonly eventId: string;
  readonly runId: string;
  readonly customer: string;
  readonly destination: string;
  readonly traceparent: string | null;
  readonly number: number;
  readonly state: DeliveryState;
  readonly code: string | null;
  readonly message: string | null;
  readonly at: Date;
}

/** How many more attempts a destination may get from this process. */
export interface DestinationRoom {
  readonly tenant: string;
  readonly destination: string;
  readonly free: number;
}

/** Cut, not rounded, to the column's milliseconds: rounded up, it would not be due yet. */
const now = `date_trunc('milliseconds', clock_timestamp())`;
const afterMs = (parameter: string): string => `${now} + ${parameter} * interval '1 millisecond'`;

/**
 * Held until the end of the transaction by whoever adds to, or takes from, the queue of a customer at a destination: without it, a delivery
 * could be put behind one that is being settled at that moment, and nobody would ever call it. Sorted, so that nobody waits in a circle.
 */
const lockQueues = statement(
  'delivery.lockQueues',
  `SELECT pg_advisory_xact_lock(hashtextextended(queue, 0)) FROM (SELECT DISTINCT queue FROM unnest($1::text[]) AS queue ORDER BY queue) AS queues`,
);

/** The first of its queue is due at once; one behind others waits without a time. */
const insert = statement(
  'delivery.insert',
  `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, retries_left, traceparent,
     event_received_at, next_attempt_at)
   SELECT tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, retries, traceparent, event_received_at,
     CASE WHEN row_number() OVER (PARTITION BY tenant_id, destination, customer ORDER BY number) = 1
       AND NOT EXISTS (SELECT FROM delivery AS ahead WHERE ahead.tenant_id = planned.tenant_id AND ahead.destination = planned.destination
         AND ahead.customer = planned.customer AND ahead.state = 'pending')
     THEN ${now} END
   FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::text[], $9::text[], $10::json[],
     $11::integer[], $12::text[], $13::timestamptz[])
     WITH ORDINALITY AS planned (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, retries, traceparent,
       event_received_at, number)
   ORDER BY number
   ON CONFLICT DO NOTHING
   RETURNING id`,
);

const isFree = `(delivery.lease_until IS NULL OR delivery.lease_until < statement_timestamp())`;

/** The longest due first, no more to a destination than it has room for; what another process is claiming at this moment is passed over. */
const claim = statement(
  'delivery.claim',
  `WITH due AS (
     SELECT delivery.tenant_id, delivery.id, delivery.destination, next_attempt_at, coalesce(room.free, $2) AS free
     FROM delivery LEFT JOIN unnest($3::text[], $4::text[], $5::integer[]) AS room (tenant_id, destination, free)
       ON room.tenant_id = delivery.tenant_id AND room.destination = delivery.destination
     WHERE state = 'pending' AND next_attempt_at <= statement_timestamp() AND ${isFree} AND coalesce(room.free, $2) > 0
     ORDER BY next_attempt_at LIMIT 4 * $1),
   ranked AS (
     SELECT *, row_number() OVER (PARTITION BY tenant_id, destination ORDER BY next_attempt_at) AS place FROM due),
   locked AS (
     SELECT delivery.tenant_id, delivery.id FROM delivery
     JOIN (SELECT tenant_id, id FROM ranked WHERE place <= free ORDER BY next_attempt_at LIMIT $1) AS chosen USING (tenant_id, id)
     WHERE state = 'pending' AND ${isFree}
     FOR UPDATE OF delivery SKIP LOCKED)
   UPDATE delivery SET fence = fence + 1, lease_until = ${afterMs('$6')}
   FROM locked WHERE delivery.tenant_id = locked.tenant_id AND delivery.id = locked.id
   RETURNING delivery.tenant_id AS tenant, delivery.id, event_id AS "eventId", run_id AS "runId", flow, generation, customer, destination,
     payload::text AS payload, attempts, retries_left AS "retriesLeft", fence, traceparent, event_received_at AS "eventReceivedAt",
     last_command_id IS NOT NULL AS redelivered`,
);

/** Not after an attempt was recorded or the claim given back: a renewal that was under way then would hold the delivery for nobody. */
const renew = statement(
  'delivery.renew',
  `UPDATE delivery SET lease_until = ${afterMs('$4')}
   FROM unnest($1::text[], $2::text[], $3::bigint[]) AS held (tenant_id, id, fence)
   WHERE delivery.tenant_id = held.tenant_id AND delivery.id = held.id AND delivery.fence = held.fence AND state = 'pending'
     AND lease_until IS NOT NULL
   RETURNING delivery.id`,
);
const release = statement('delivery.release', `UPDATE delivery SET lease_until = NULL WHERE tenant_id = $1 AND id = $2 AND fence = $3`);

/** Records the attempt, changes the delivery, and calls the next of the queue where this one has left it: all of it only for the claim's holder. */
const settle = statement(
  'delivery.settle',
  `WITH settled AS (
     UPDATE delivery SET state = $4, attempts = attempts + 1, lease_until = NULL, error_code = $5, error_message = $6,
       retries_left = greatest(0, retries_left - CASE WHEN $4 = 'pending' THEN 1 ELSE 0 END),
       next_attempt_at = CASE WHEN $4 = 'pending' THEN ${afterMs('$7')} END,
       settled_at = CASE WHEN $4 = 'pending' THEN NULL ELSE $11::timestamptz END
     WHERE tenant_id = $1 AND id = $2 AND fence = $3 AND state = 'pending'
     RETURNING tenant_id, id, event_id, destination, customer, state, attempts),
   recorded AS (
     INSERT INTO attempt (tenant_id, delivery_id, number, event_id, outcome, status, error_code, error_message, response_excerpt,
       started_at, finished_at)
     SELECT tenant_id, id, attempts, event_id, CASE WHEN $5::text IS NULL THEN 'succeeded' ELSE 'failed' END, $8, $5, $6, $9, $10, $11 FROM settled),
   called AS (
     UPDATE delivery SET next_attempt_at = ${now}
     FROM settled, LATERAL (
       SELECT behind.tenant_id, behind.id FROM delivery AS behind
       WHERE behind.tenant_id = settled.tenant_id AND behind.destination = settled.destination AND behind.customer = settled.customer
         AND behind.state = 'pending' AND behind.id <> settled.id
       ORDER BY behind.position LIMIT 1) AS head
     WHERE settled.state <> 'pending' AND delivery.tenant_id = head.tenant_id AND delivery.id = head.id AND delivery.next_attempt_at IS NULL)
   SELECT attempts FROM settled`,
);

const queueOf = statement('delivery.queueOf', `SELECT destination, customer FROM delivery WHERE tenant_id = $1 AND id = $2`);
const restart = statement(
  'delivery.restart',
  `UPDATE delivery SET state = 'pending', next_attempt_at = ${now}, retries_left = $4, last_command_id = $3, lease_until = NULL, settled_at = NULL
   WHERE tenant_id = $1 AND id = $2 AND last_command_id IS DISTINCT FROM $3 AND ${isFree} RETURNING id`,
);
const lastCommand = statement('delivery.lastCommand', `SELECT last_command_id AS command FROM delivery WHERE tenant_id = $1 AND id = $2`);

const announced = statement(
  'delivery.announced',
  `UPDATE delivery SET announced_attempts = told.number
   FROM (SELECT tenant_id, id, max(number) AS number FROM unnest($1::text[], $2::text[], $3::integer[]) AS told (tenant_id, id, number)
     GROUP BY tenant_id, id ORDER BY tenant_id, id) AS told
   WHERE delivery.tenant_id = told.tenant_id AND delivery.id = told.id AND delivery.announced_attempts < told.number`,
);
/** Old enough that the process which made the attempt is not just about to announce it. */
const unannounced = statement(
  'delivery.unannounced',
  `SELECT delivery.tenant_id AS tenant, delivery.id AS "deliveryId", delivery.event_id AS "eventId", run_id AS "runId", customer, destination,
     traceparent, number, CASE WHEN number = attempts THEN delivery.state ELSE 'pending' END AS state,
     attempt.error_code AS code, attempt.error_message AS message, attempt.finished_at AS at
   FROM delivery JOIN attempt ON attempt.tenant_id = delivery.tenant_id AND delivery_id = delivery.id AND number > announced_attempts
   WHERE announced_attempts < attempts AND attempt.finished_at < statement_timestamp() - $1 * interval '1 millisecond'
   ORDER BY attempt.finished_at LIMIT $2`,
);

const backlog = statement(
  'delivery.backlog',
  `SELECT tenant_id AS tenant, count(*) AS pending, extract(epoch FROM statement_timestamp() - min(created_at))::float8 AS "oldestSeconds"
   FROM delivery WHERE state = 'pending' GROUP BY tenant_id`,
);

/** The tables `delivery` and `attempt`: what is to be delivered, in which order, and what came of each attempt. */
@Injectable()
export class DeliveryTable {
  constructor(private readonly database: Database) {}

  /** Adds those that are not there yet, each at the end of its customer's queue at its destination. Returns how many that were. */
  insert(deliveries: readonly NewDelivery[]): Promise<number> {
    const column = <T>(value: (delivery: NewDelivery) => T): T[] => deliveries.map(value);
    return this.inQueues(deliveries, async (session) => {
      const added = await session.query(insert, [
        column(({ tenant }) => tenant),
        column(({ id }) => id),
        column(({ eventId }) => eventId),
        column(({ runId }) => runId),
        column(({ flow }) => flow),
        column(({ generation }) => generation),
        column(({ step }) => step),
        column(({ customer }) => customer),
        column(({ destination }) => destination),
        column(({ payload }) => payload),
        column(({ retries }) => retries),
        column(({ traceparent }) => traceparent ?? null),
        column(({ eventReceivedAt }) => eventReceivedAt),
      ]);
      return added.length;
    });
  }

  /**
   * @param limit at most so many
   * @param perDestination for a destination that `rooms` does not name
   */
  claim(limit: number, perDestination: number, rooms: readonly DestinationRoom[], leaseMs: number): Promise<ClaimedDelivery[]> {
    return this.database.query(claim, [
      limit,
      perDestination,
      rooms.map(({ tenant }) => tenant),
      rooms.map(({ destination }) => destination),
      rooms.map(({ free }) => free),
      leaseMs,
    ]);
  }

  /** Returns the ids of those whose claim is still ours. */
  async renew(held: readonly ClaimedDelivery[], leaseMs: number): Promise<Set<string>> {
    const rows = await this.database.query<{ id: string }>(renew, [
      held.map(({ tenant }) => tenant),
      held.map(({ id }) => id),
      held.map(({ fence }) => fence),
      leaseMs,
    ]);
    return new Set(rows.map(({ id }) => id));
  }

  /** Gives the claim back without an attempt. */
  async release({ tenant, id, fence }: ClaimedDelivery): Promise<void> {
    await this.database.query(release, [tenant, id, fence]);
  }

  /** Returns the number of the recorded attempt; undefined where the claim is no longer ours, and nothing was changed. */
  settle(delivery: ClaimedDelivery, attempt: AttemptRow): Promise<number | undefined> {
    const write = async (session: Session): Promise<number | undefined> => {
      const [row] = await session.query<{ attempts: number }>(settle, [
        delivery.tenant,
        delivery.id,
        delivery.fence,
        attempt.state,
        attempt.error?.code ?? null,
        storableText(attempt.error?.message ?? null),
        attempt.retryInMs,
        attempt.status,
        storableText(attempt.excerpt),
        attempt.startedAt,
        attempt.finishedAt,
      ]);
      return row?.attempts;
    };
    return attempt.state === 'pending' ? write(this.database) : this.inQueues([delivery], write);
  }

  /**
   * Makes a delivery due at once, whatever its state and place in the queue, with a fresh budget. The same command does so once.
   * `busy`: an attempt is under way; `unknown`: there is no such delivery.
   */
  async restart(
    tenant: string,
    id: string,
    commandId: string,
    retries: (destination: string) => number,
  ): Promise<'restarted' | 'busy' | 'unknown'> {
    const [queue] = await this.database.query<{ destination: string; customer: string }>(queueOf, [tenant, id]);
    if (queue === undefined) return 'unknown';
    return this.inQueues([{ tenant, ...queue }], async (session) => {
      const restarted = await session.query(restart, [tenant, id, commandId, retries(queue.destination)]);
      if (restarted.length > 0) return 'restarted';
      const [last] = await session.query<{ command: string | null }>(lastCommand, [tenant, id]);
      return last?.command === commandId ? 'restarted' : 'busy';
    });
  }

  async markAnnounced(attempts: readonly Pick<RecordedAttempt, 'tenant' | 'deliveryId' | 'number'>[]): Promise<void> {
    await this.database.query(announced, [
      attempts.map(({ tenant }) => tenant),
      attempts.map(({ deliveryId }) => deliveryId),
      attempts.map(({ number }) => number),
    ]);
  }

  /** Attempts whose announcement was never confirmed, the oldest first. */
  unannounced(olderThanMs: number, limit: number): Promise<RecordedAttempt[]> {
    return this.database.query(unannounced, [olderThanMs, limit]);
  }

  /** What is pending, by tenant. */
  backlog(): Promise<{ tenant: string; pending: number; oldestSeconds: number }[]> {
    return this.database.query(backlog);
  }

  private inQueues<T>(
    queues: readonly { tenant: string; destination: string; customer: string }[],
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    return this.database.transaction(async (session) => {
      await session.query(lockQueues, [queues.map(({ tenant, destination, customer }) => `${tenant}/${destination}/${customer}`)]);
      return work(session);
    });
  }
}
