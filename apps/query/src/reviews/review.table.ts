import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import { loader } from '../operations/part.js';
import { manyPerKey, onePerKey } from '../operations/per-key.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { ListSource, Page, PageArguments } from '../paging/paging.js';
import type { ReviewChangeKind, ReviewFilter, ReviewOrder, ReviewRow } from './review.operations.js';

/** The channel on which Postgres tells that reviews changed: `tenant/id/change/time in ms`. */
export const reviewsChannel = 'millrace_reviews';

type RawReview = ReviewRow & { readonly place: string; readonly change: ReviewChangeKind; readonly changedAt: Date };

const isClaimed = `state = 'open' AND claimed_until > clock_timestamp()`;
const columns = `id, run_id AS "runId", event_id AS "eventId", flow, step, customer, review_state(state, claimed_until, expires_at) AS state, priority, proposal,
  default_value AS "defaultValue", schema, reason, context, asked_at AS "askedAt", expires_at AS "expiresAt", escalate_at AS "escalatesAt",
  escalated_at AS "escalatedAt", CASE WHEN ${isClaimed} THEN claimed_by END AS "claimedBy", CASE WHEN ${isClaimed} THEN claimed_until END AS "claimedUntil",
  outcome, value, decided_by AS "decidedBy", decision_reason AS "decisionReason", ended_at AS "endedAt", place, change, changed_at AS "changedAt"`;
const rowOf = (raw: RawReview): ReviewRow => raw;
const lists: Record<ReviewOrder, ListSource<ReviewRow, RawReview>> = {
  queue: {
    name: 'review_queue',
    page: statement('query.review.queue.page', `SELECT ${columns} FROM review_queue_page($1, $2, $3, $4, $5, $6)`),
    count: statement('query.review.queue.count', `SELECT review_queue_count($1, $2, $3) AS found`),
    positionOf: ({ place, id }) => ({ key: place, id }),
    rowOf,
  },
  newest: {
    name: 'review',
    page: statement('query.review.page', `SELECT ${columns} FROM review_page($1, $2, $3, $4, $5, $6)`),
    count: statement('query.review.count', `SELECT review_count($1, $2, $3) AS found`),
    positionOf: ({ askedAt, id }) => ({ key: askedAt.toISOString(), id }),
    rowOf,
  },
};
const byIds = statement('query.review.byIds', `SELECT ${columns} FROM reviews_by_id($1, $2)`);
const ofRuns = statement('query.review.ofRuns', `SELECT ${columns} FROM reviews_of_runs($1, $2)`);
const ofEvents = statement('query.review.ofEvents', `SELECT ${columns} FROM reviews_of_events($1, $2)`);
const changedSince = statement('query.review.changedSince', `SELECT ${columns} FROM reviews_changed_since($1, $2)`);

const lock = statement(
  'query.review.lock',
  `SELECT ${columns}, EXISTS (SELECT FROM run WHERE run.tenant_id = $1 AND run.id = run_id AND run.state IN ('running', 'waiting')) AS "hasRun"
   FROM review WHERE tenant_id = $1 AND id = $2 FOR UPDATE`,
);
const told = `pg_notify('${reviewsChannel}', concat_ws('/', tenant_id, id, change, (extract(epoch FROM changed_at) * 1000)::bigint))`;
const changing = (change: ReviewChangeKind): string => `change = '${change}', changed_at = clock_timestamp()`;
const claim = statement(
  'query.review.claim',
  `UPDATE review SET claimed_by = $3, claimed_until = least(clock_timestamp() + $4 * interval '1 minute', expires_at), ${changing('claimed')}
   WHERE tenant_id = $1 AND id = $2 RETURNING ${columns}, ${told}`,
);
const release = statement(
  'query.review.release',
  `UPDATE review SET claimed_by = NULL, claimed_until = NULL, ${changing('released')} WHERE tenant_id = $1 AND id = $2 RETURNING ${columns}, ${told}`,
);
/** The end of the wait for the review is now, and not a part of a millisecond ahead, as a rounded time may be: whoever wakes runs finds it at once. */
const decide = statement(
  'query.review.decide',
  `WITH decided AS (
     UPDATE review SET state = 'decided', outcome = $3, value = $4::json, decided_by = $5, decision_reason = $6, ended_at = clock_timestamp(),
       claimed_by = NULL, claimed_until = NULL, ${changing('decided')}
     WHERE tenant_id = $1 AND id = $2 RETURNING *),
   woken AS (
     UPDATE run_wait SET due_at = date_trunc('milliseconds', clock_timestamp()) FROM decided
     WHERE run_wait.tenant_id = decided.tenant_id AND run_wait.run_id = decided.run_id AND run_wait.step = decided.step AND run_wait.state = 'pending')
   SELECT ${columns}, ${told} FROM decided`,
);

/** A review that is locked until the end of the transaction. */
export type LockedReview = ReviewRow & {
  /** False: its run has ended, and nobody waits for it. */
  readonly hasRun: boolean;
};

/** A decision to be stored. */
export interface ReviewDecision {
  readonly outcome: 'approved' | 'corrected' | 'rejected';
  readonly value: unknown;
  readonly by: string;
  readonly reason: string | null;
}

/** A review with its last change. */
export interface ChangedReview {
  readonly review: ReviewRow;
  readonly change: ReviewChangeKind;
  readonly at: Date;
}

/** The table `review`, as people see and decide it. */
@Injectable()
export class ReviewTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, order: ReviewOrder, filter: ReviewFilter, page: PageArguments): Promise<Page<ReviewRow>> {
    return this.paging.page(lists[order], tenant, conditions({ ...filter }), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(ReviewRow | null)[]> {
    return onePerKey(ids, await this.database.query<ReviewRow>(byIds, [tenant, ids]), (row) => row.id);
  }

  async ofRuns(tenant: string, runIds: readonly string[]): Promise<ReviewRow[][]> {
    return manyPerKey(runIds, await this.database.query<ReviewRow>(ofRuns, [tenant, runIds]), (row) => row.runId);
  }

  async ofEvents(tenant: string, eventIds: readonly string[]): Promise<ReviewRow[][]> {
    return manyPerKey(eventIds, await this.database.query<ReviewRow>(ofEvents, [tenant, eventIds]), (row) => row.eventId);
  }

  /** The reviews that changed at this time or later, each with its last change; the first 1000. */
  async changedSince(tenant: string, since: Date): Promise<ChangedReview[]> {
    const rows = await this.database.query<RawReview>(changedSince, [tenant, since]);
    return rows.map((row) => ({ review: row, change: row.change, at: row.changedAt }));
  }

  /** Undefined if there is none. */
  async lock(session: Session, tenant: string, id: string): Promise<LockedReview | undefined> {
    const [row] = await session.query<LockedReview>(lock, [tenant, id]);
    return row;
  }

  async claim(session: Session, tenant: string, id: string, { by, minutes }: { by: string; minutes: number }): Promise<ReviewRow> {
    return (await session.query<ReviewRow>(claim, [tenant, id, by, minutes]))[0]!;
  }

  async release(session: Session, tenant: string, id: string): Promise<ReviewRow> {
    return (await session.query<ReviewRow>(release, [tenant, id]))[0]!;
  }

  async decide(session: Session, tenant: string, id: string, { outcome, value, by, reason }: ReviewDecision): Promise<ReviewRow> {
    return (await session.query<ReviewRow>(decide, [tenant, id, outcome, JSON.stringify(value ?? null), by, reason]))[0]!;
  }
}

export const reviewById = loader((get, tenant, ids) => get(ReviewTable).byIds(tenant, ids));
export const reviewsOfRun = loader((get, tenant, ids) => get(ReviewTable).ofRuns(tenant, ids));
export const reviewsOfEvent = loader((get, tenant, ids) => get(ReviewTable).ofEvents(tenant, ids));
