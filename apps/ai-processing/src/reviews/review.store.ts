import { Injectable } from '@nestjs/common';
import { reviewPriorities } from '#libs/contracts';
import type { ReviewEnd } from '#libs/flows';
import type { Json } from '#libs/json';
import { Database, statement } from '#libs/persistence';
import { counter } from '#libs/tracing';

export const expiredReviews = counter(
  'millrace_reviews_expired_total',
  'Reviews that nobody decided in time, so that the default is the decision.',
  {},
);

export const withdrawnReviews = counter(
  'millrace_reviews_withdrawn_total',
  'Reviews of runs that ended before anybody decided. Those of runs whose default decision a door or a cancel stored are not counted.',
  {},
);

/** The place of a new review in the queue. */
export function placeOf(priority: string): string {
  return `concat('1', ${reviewPriorities.most} - ${priority}, lpad(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint::text, 14, '0'))`;
}

/** Tells everybody who follows the queue that rows changed. @param rows a subquery with tenant_id, id, change, changed_at */
export function tellOf(rows: string): string {
  const ms = `(extract(epoch FROM ${rows}.changed_at) * 1000)::bigint`;
  return `count(pg_notify('millrace_reviews', concat_ws('/', ${rows}.tenant_id, ${rows}.id, ${rows}.change, ${ms})))`;
}

const expired = `state = 'expired', outcome = 'expired', value = default_value, ended_at = clock_timestamp(), change = 'expired',
  changed_at = clock_timestamp()`;
/** Withdraws the open reviews of runs that end with the statement, or have ended: an aggregate, which yields how many those are. */
export function withdrawing(tenant: string, run: string): string {
  return `withdraw_reviews(array_agg(${tenant}::text), array_agg(${run}::text))`;
}

const changedFields = 'review.tenant_id, review.id, review.change, review.changed_at';

/** One that somebody decides at this moment is waited for. */
const settle = statement(
  'review.settle',
  `WITH gone AS (
     UPDATE review SET ${expired} WHERE tenant_id = $1 AND run_id = $2 AND state = 'open' AND expires_at <= clock_timestamp() RETURNING ${changedFields})
   SELECT ${tellOf('gone')}::integer AS expired FROM gone`,
);
const endsOf = statement(
  'review.endsOf',
  `SELECT step, outcome, value, decided_by AS by, decision_reason AS reason, ended_at AS "endedAt" FROM review
   WHERE tenant_id = $1 AND run_id = $2 AND state IN ('open', 'decided', 'expired')`,
);
/** A review that another statement holds is left for the next round. */
const pass = statement(
  'review.pass',
  `WITH late AS (
     SELECT tenant_id, id FROM review WHERE state = 'open' AND expires_at <= clock_timestamp() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED),
   gone AS (
     UPDATE review SET ${expired} FROM late WHERE review.tenant_id = late.tenant_id AND review.id = late.id RETURNING ${changedFields}),
   pressing AS (
     SELECT tenant_id, id FROM review
     WHERE state = 'open' AND escalated_at IS NULL AND escalate_at <= clock_timestamp() AND expires_at > clock_timestamp()
     ORDER BY escalate_at LIMIT $1 FOR UPDATE SKIP LOCKED),
   raised AS (
     UPDATE review SET escalated_at = clock_timestamp(), priority = ${reviewPriorities.most}, place = overlay(place PLACING '00' FROM 1 FOR 2),
       change = 'escalated', changed_at = clock_timestamp()
     FROM pressing WHERE review.tenant_id = pressing.tenant_id AND review.id = pressing.id RETURNING ${changedFields})
   SELECT (SELECT ${tellOf('gone')} FROM gone)::integer AS expired, (SELECT ${tellOf('raised')} FROM raised)::integer AS escalated`,
);
/** Also of runs that ended while a person held the row, or in a process of an earlier release. */
const withdraw = statement(
  'review.withdraw',
  `SELECT ${withdrawing('tenant_id', 'run_id')} AS withdrawn FROM (
     SELECT DISTINCT tenant_id, run_id FROM review
     WHERE review.state = 'open' AND EXISTS (
       SELECT FROM run WHERE run.tenant_id = review.tenant_id AND run.id = review.run_id AND run.state IN ('completed', 'failed'))
     LIMIT $1) AS ended`,
);
const backlog = statement(
  'review.backlog',
  `SELECT count(*)::float8 AS open, count(escalated_at)::float8 AS escalated,
     coalesce(extract(epoch FROM clock_timestamp() - min(asked_at)), 0)::float8 AS "oldestSeconds"
   FROM review WHERE state = 'open'`,
);

interface EndRow {
  readonly step: string;
  /** Null if it is open. */
  readonly outcome: ReviewEnd['outcome'] | null;
  readonly value: Json;
  readonly by: string | null;
  readonly reason: string | null;
  readonly endedAt: Date | null;
}

function endIn({ outcome, value, by, reason, endedAt }: EndRow): ReviewEnd | 'open' {
  return outcome === null ? 'open' : { outcome, value, by, reason, at: endedAt!.toISOString() };
}

/** The open reviews of all tenants. */
export interface ReviewBacklog {
  readonly open: number;
  readonly escalated: number;
  /** How long ago the oldest was asked; 0 if there is none. */
  readonly oldestSeconds: number;
}

/** The table `review`, as far as runs and the clock change it. Reviews are stored with the progress of their runs, and decided by `apps/query`. */
@Injectable()
export class ReviewStore {
  constructor(private readonly database: Database) {}

  /** The decisions of a run's reviews, by the paths of their steps. What is not decided in time expires with this look. */
  async endsOf(tenant: string, runId: string): Promise<Map<string, ReviewEnd | 'open'>> {
    const [settled] = await this.database.query<{ expired: number }>(settle, [tenant, runId]);
    expiredReviews.inc({}, settled!.expired);
    const rows = await this.database.query<EndRow>(endsOf, [tenant, runId]); // a statement of its own, so that it sees what the other one waited for
    return new Map(rows.map((row) => [row.step, endIn(row)]));
  }

  /** Ends reviews that nobody has decided in time, and escalates others; so many of each at most. */
  async pass(limit: number): Promise<{ readonly expired: number; readonly escalated: number }> {
    const [passed] = await this.database.query<{ expired: number; escalated: number }>(pass, [limit]);
    return passed!;
  }

  /** Withdraws reviews of runs that have ended. */
  async withdraw(limit: number): Promise<number> {
    const [row] = await this.database.query<{ withdrawn: number }>(withdraw, [limit]);
    return row!.withdrawn;
  }

  async backlog(): Promise<ReviewBacklog> {
    const [row] = await this.database.query<ReviewBacklog>(backlog);
    return row!;
  }
}
