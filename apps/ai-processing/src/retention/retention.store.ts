import { Injectable } from '@nestjs/common';
import { Database, statement } from '#libs/persistence';

/** The last event that a walk over a tenant's events has read, from the oldest on. */
export interface WalkPosition {
  readonly receivedAt: Date;
  readonly id: string;
}

export interface WalkStep {
  /** Events that were deleted, with everything that followed from them. */
  readonly deleted: number;
  /** The position to go on from; null if no older event is left. */
  readonly next: WalkPosition | null;
}

const lock = statement('retention.lock', `SELECT pg_try_advisory_xact_lock(hashtextextended('millrace.retention', 0)) AS locked`);

/** Jumps from tenant to tenant in the index, however many events each of them has. */
const tenants = statement(
  'retention.tenants',
  `WITH RECURSIVE tenant AS (
     (SELECT tenant_id FROM event ORDER BY tenant_id LIMIT 1)
     UNION ALL
     SELECT (SELECT event.tenant_id FROM event WHERE event.tenant_id > tenant.tenant_id ORDER BY event.tenant_id LIMIT 1)
     FROM tenant WHERE tenant.tenant_id IS NOT NULL)
   SELECT tenant_id AS tenant FROM tenant WHERE tenant_id IS NOT NULL`,
);

/**
 * Deletes events of which everything that followed ended before the limit: a replay of last week keeps an event of last year. Events that may
 * still change are kept: with a run that is at work or waits, with deliveries that are pending or not written yet, with an open dead letter, or of a customer whose
 * records are held.
 */
const deleteStep = statement(
  'retention.deleteStep',
  `WITH candidate AS MATERIALIZED (
     SELECT tenant_id, id, customer, received_at FROM event
     WHERE tenant_id = $1 AND received_at < $2::timestamptz AND (received_at, id) > ($3::timestamptz, $4::text)
     ORDER BY received_at, id LIMIT $5),
   done AS MATERIALIZED (
     SELECT tenant_id, id FROM candidate
     WHERE NOT EXISTS (SELECT FROM run WHERE run.tenant_id = candidate.tenant_id AND run.event_id = candidate.id
         AND (run.state IN ('running', 'waiting') OR run.finished_at >= $2))
       AND NOT EXISTS (SELECT FROM run JOIN delivery ON delivery.tenant_id = run.tenant_id AND delivery.run_id = run.id
         WHERE run.tenant_id = candidate.tenant_id AND run.event_id = candidate.id
         AND (delivery.state = 'pending' OR delivery.settled_at >= $2))
       AND NOT EXISTS (SELECT FROM run WHERE run.tenant_id = candidate.tenant_id AND run.event_id = candidate.id AND run.state = 'completed'
         AND json_array_length(run.deliveries)
           > (SELECT count(*) FROM delivery WHERE delivery.tenant_id = run.tenant_id AND delivery.run_id = run.id))
       AND NOT EXISTS (SELECT FROM dead_letter WHERE dead_letter.tenant_id = candidate.tenant_id AND dead_letter.event_id = candidate.id
         AND dead_letter.resolved_at IS NULL)
       AND NOT EXISTS (SELECT FROM hold WHERE hold.tenant_id = candidate.tenant_id AND hold.customer = candidate.customer)),
   gone_run AS (
     DELETE FROM run USING done WHERE run.tenant_id = done.tenant_id AND run.event_id = done.id RETURNING run.tenant_id, run.id),
   gone_step AS (
     DELETE FROM step_result USING gone_run WHERE step_result.tenant_id = gone_run.tenant_id AND step_result.run_id = gone_run.id),
   gone_wait AS (
     DELETE FROM run_wait USING gone_run WHERE run_wait.tenant_id = gone_run.tenant_id AND run_wait.run_id = gone_run.id),
   gone_delay AS (
     DELETE FROM run_delay USING gone_run WHERE run_delay.tenant_id = gone_run.tenant_id AND run_delay.run_id = gone_run.id),
   gone_review AS (
     DELETE FROM review USING gone_run WHERE review.tenant_id = gone_run.tenant_id AND review.run_id = gone_run.id),
   gone_call AS (
     DELETE FROM model_attempt USING gone_run WHERE model_attempt.tenant_id = gone_run.tenant_id AND model_attempt.run_id = gone_run.id),
   gone_operation AS (
     DELETE FROM operation_attempt USING gone_run
     WHERE operation_attempt.tenant_id = gone_run.tenant_id AND operation_attempt.run_id = gone_run.id),
   gone_delivery AS (
     DELETE FROM delivery USING gone_run WHERE delivery.tenant_id = gone_run.tenant_id AND delivery.run_id = gone_run.id
     RETURNING delivery.tenant_id, delivery.id),
   gone_attempt AS (
     DELETE FROM attempt USING gone_delivery WHERE attempt.tenant_id = gone_delivery.tenant_id AND attempt.delivery_id = gone_delivery.id),
   gone_command AS (
     DELETE FROM delivery_command USING gone_delivery
     WHERE delivery_command.tenant_id = gone_delivery.tenant_id AND delivery_command.delivery_id = gone_delivery.id),
   gone_event AS (
     DELETE FROM event USING done WHERE event.tenant_id = done.tenant_id AND event.id = done.id RETURNING event.id)
   SELECT (SELECT count(*) FROM gone_event) AS deleted, received_at AS "receivedAt", id
   FROM candidate ORDER BY received_at DESC, id DESC LIMIT 1`,
);

/** Keeps resolved dead letters of a customer with held records: the hold ends by them, and would never end without them. */
const deleteDeadLetters = statement(
  'retention.deleteDeadLetters',
  `DELETE FROM dead_letter WHERE (tenant_id, id) IN (
     SELECT tenant_id, id FROM dead_letter WHERE tenant_id = $1 AND created_at < $2 AND resolved_at < $2
       AND NOT EXISTS (SELECT FROM hold WHERE hold.tenant_id = dead_letter.tenant_id AND hold.customer = dead_letter.customer)
     ORDER BY created_at LIMIT $3)
   RETURNING id`,
);
const deleteIdempotencyKeys = statement('retention.deleteIdempotencyKeys', `DELETE FROM idempotency_key WHERE tenant_id = $1 AND at < $2`);

/** A trial that never ended goes, too: its time is an hour at most. */
const deleteTrials = statement(
  'retention.deleteTrials',
  `WITH gone AS (DELETE FROM trial WHERE tenant_id = $1 AND asked_at < $2 RETURNING tenant_id, id)
   DELETE FROM trial_outcome USING gone WHERE trial_outcome.tenant_id = gone.tenant_id AND trial_outcome.trial_id = gone.id`,
);

const start: WalkPosition = { receivedAt: new Date(0), id: '' };

/** Deletes the old and finished part of a tenant's history from all its tables. The audit is kept. */
@Injectable()
export class RetentionStore {
  constructor(private readonly database: Database) {}

  async tenants(): Promise<string[]> {
    const rows = await this.database.query<{ tenant: string }>(tenants);
    return rows.map(({ tenant }) => tenant);
  }

  /** Reads at most `limit` events received before `before`. Returns undefined if another process is deleting. */
  deleteEvents(tenant: string, before: Date, after: WalkPosition = start, limit = 500): Promise<WalkStep | undefined> {
    return this.database.transaction(async (session) => {
      const [held] = await session.query<{ locked: boolean }>(lock);
      if (!held!.locked) return undefined;
      const values = [tenant, before, after.receivedAt, after.id, limit];
      const [last] = await session.query<WalkPosition & { deleted: number }>(deleteStep, values);
      return last === undefined
        ? { deleted: 0, next: null }
        : { deleted: last.deleted, next: { receivedAt: last.receivedAt, id: last.id } };
    });
  }

  /** Deletes at most `limit` resolved dead letters, and returns their number. */
  async deleteDeadLetters(tenant: string, before: Date, limit = 500): Promise<number> {
    return (await this.database.query(deleteDeadLetters, [tenant, before, limit])).length;
  }

  async deleteTrials(tenant: string, before: Date): Promise<void> {
    await this.database.query(deleteTrials, [tenant, before]);
  }

  async deleteIdempotencyKeys(tenant: string, before: Date): Promise<void> {
    await this.database.query(deleteIdempotencyKeys, [tenant, before]);
  }
}
