import { Injectable } from '@nestjs/common';
import type { CancelTrial, StartTrial, TrialEvents, TrialKind } from '#libs/contracts';
import { trialId } from '#libs/contracts';
import type { Json } from '#libs/json';
import { Database, columns, isFreeLease, statement, storableText } from '#libs/persistence';
import type { ValueDifference } from './difference.js';

/** A place in the list of a tenant's events, the latest first. */
export interface EventPosition {
  /** Timestamp in Postgres' text form. */
  readonly at: string;
  readonly id: string;
}

/** Amounts of money in billionths, by currency. */
export type Costs = Readonly<Record<string, number>>;

/** A trial that this process may carry out as long as its fence is the newest. */
export interface ClaimedTrial {
  readonly tenant: string;
  readonly id: string;
  readonly kind: TrialKind;
  readonly flow: string;
  /** Null: `document` is tried. */
  readonly version: number | null;
  readonly document: Json;
  readonly events: TrialEvents;
  readonly step: string | null;
  readonly outputs: Readonly<Record<string, Json>>;
  readonly maxEvents: number;
  readonly maxCost: { readonly nanos: number; readonly currency: string } | null;
  /** The time that is left of it, ms; 0 or less: none. */
  readonly leftMs: number;
  /** When it was asked for, in Postgres' text form. Events that came later do not belong to it. */
  readonly askedAt: string;
  readonly actor: string;
  readonly position: EventPosition | null;
  readonly scanned: number;
  readonly skipped: number;
  readonly fence: number;
}

/** How far a trial is. */
export type TrialProgress = Pick<ClaimedTrial, 'position' | 'scanned' | 'skipped'>;

/** `same`, `different`: the stored decision. `new`: there is none. `notRun`: the flow does not run on the event any more. */
export type TrialChange = 'same' | 'different' | 'new' | 'notRun' | 'failed' | 'recovered';
/**
 * The reason why an outcome cannot become a generation of its event. `waits` is one for earlier releases alone: the generation goes on by itself where the
 * trial did not wait.
 */
export type TrialObstacle = 'failed' | 'acts' | 'waits' | 'givenOutputs' | 'tooLarge' | 'part' | 'sample' | 'document' | 'notRun';

/** A step of a trial, as it is kept. */
export interface TriedStep {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  /** Absent if the kind has none that is told. */
  readonly input?: Json;
  readonly output: Json;
  readonly failure?: { readonly code: string; readonly message: string };
  readonly inference?: {
    readonly model: string;
    readonly responseModel: string;
    readonly inputTokens: number | null;
    readonly outputTokens: number | null;
  };
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly costs: Costs;
  /** Present if a run does it before it waits. */
  readonly beforeWait?: true;
  /** Present on the first step that acts in another system before the run waits. */
  readonly acts?: true;
  /** Present on a `review` step that asks a person: where its decision comes from. */
  readonly reviewSource?: ReviewSource;
  /** Present if that is `stored`: the id of the review that the person decided. */
  readonly reviewId?: string;
}

/**
 * The origin of the decision of a review in a trial. `stored`: a person decided the same question of the stored run. Of the others the review expires:
 * `otherQuestion`: a person decided, but on another proposal or schema. `nobody`: no person decided at this step.
 */
export type ReviewSource = 'stored' | 'otherQuestion' | 'nobody';

/** A review of a stored run that a person decided. */
export interface DecidedReview {
  readonly id: string;
  readonly step: string;
  readonly proposal: Json;
  readonly defaultValue: Json;
  readonly schema: Json;
  readonly outcome: 'approved' | 'corrected' | 'rejected';
  readonly value: Json;
  readonly by: string | null;
  readonly reason: string | null;
  readonly endedAt: Date;
}

/** A delivery as it would be sent. */
export interface TriedDelivery {
  readonly step: string;
  readonly destination: string;
  /** For a destination that is an operation: its input. */
  readonly payload: Json;
  /** The payload that the step planned, if it is another one. */
  readonly planned?: Json;
  readonly atLeastOnce?: boolean;
}

/** An outcome that can become a generation of its event. */
export interface PromotableOutcome {
  readonly flow: string;
  readonly version: number;
  /** True: only the steps before the first wait are of the generation, which goes on by itself. */
  readonly waits: boolean;
  readonly decision: Json;
  readonly deliveries: readonly TriedDelivery[];
  readonly steps: readonly TriedStep[];
  /** The run that was made of it; null if there is none. */
  readonly promotedRunId: string | null;
}

/** The result of a flow on one event. */
export interface TrialOutcome {
  readonly eventId: string;
  readonly customer: string;
  readonly receivedAt: string;
  readonly change: TrialChange;
  /** False: no run would begin. */
  readonly isMatch: boolean;
  readonly decision?: Json;
  readonly deliveries: readonly TriedDelivery[];
  readonly steps: readonly TriedStep[] | null;
  readonly failure?: { readonly code: string; readonly message: string };
  readonly costs: Costs;
  readonly durationMs: number | null;
  readonly baseRunId: string | null;
  readonly baseCosts: Costs;
  readonly baseDurationMs: number | null;
  readonly differences: readonly ValueDifference[];
  readonly differenceCount: number;
  readonly obstacle: TrialObstacle | null;
  /** How many of its reviews have the decision of a person, from the stored run. */
  readonly storedReviews: number;
  /** How many of its reviews expired, because there is no such decision. */
  readonly expiredReviews: number;
}

/** The stored run that an outcome is compared with. */
export interface BaseRun {
  readonly id: string;
  readonly eventId: string;
  readonly state: 'completed' | 'failed';
  readonly decision: Json;
  readonly errorCode: string | null;
  readonly durationMs: number;
  readonly costs: Costs;
  readonly deliveries: readonly { readonly step: string; readonly destination: string; readonly payload: Json }[];
}

export interface StoredOutput {
  readonly step: string;
  readonly kind: string;
  readonly state: 'began' | 'succeeded' | 'skipped';
  readonly output: Json;
}

/** Trials of a tenant that have not ended, the one under way included. */
export const mostOpenTrials = 20;
/** The ended trials of a tenant that are kept, the latest ones. */
const mostKeptTrials = 20;

/** A trial that comes when too many wait is stored as failed, so that whoever asked sees why. */
const start = statement(
  'trial.start',
  `INSERT INTO trial (tenant_id, id, kind, flow, flow_version, document, events, step, outputs, max_events, max_seconds, max_cost_nanos, max_cost_currency, actor,
     state, finished_at, error_code, error_message)
   SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
     CASE WHEN open.trials < ${mostOpenTrials} THEN 'running' ELSE 'failed' END, CASE WHEN open.trials >= ${mostOpenTrials} THEN clock_timestamp() END,
     CASE WHEN open.trials >= ${mostOpenTrials} THEN 'trial.tooMany' END,
     CASE WHEN open.trials >= ${mostOpenTrials} THEN '${mostOpenTrials} trials of the tenant have not ended; cancel some, or ask again later' END
   FROM (SELECT count(*) AS trials FROM trial WHERE tenant_id = $1 AND state = 'running') AS open
   ON CONFLICT DO NOTHING RETURNING id, state`,
);
const deleteSurplus = statement(
  'trial.deleteSurplus',
  `WITH gone AS (
     DELETE FROM trial WHERE tenant_id = $1 AND id IN (
       SELECT id FROM trial WHERE tenant_id = $1 AND state <> 'running' ORDER BY asked_at DESC, id DESC OFFSET ${mostKeptTrials})
     RETURNING tenant_id, id)
   DELETE FROM trial_outcome USING gone WHERE trial_outcome.tenant_id = gone.tenant_id AND trial_outcome.trial_id = gone.id`,
);
const cancel = statement(
  'trial.cancel',
  `UPDATE trial SET state = 'cancelled', lease_until = NULL, finished_at = clock_timestamp()
   WHERE tenant_id = $1 AND id = $2 AND state = 'running' RETURNING kind`,
);

const leased = (parameter: string): string => `clock_timestamp() + ${parameter} * interval '1 millisecond'`;
const isFree = isFreeLease('trial.lease_until');

/** Claims only the first trial of the kind of each tenant: its others wait for that. */
const claim = statement(
  'trial.claim',
  `WITH first AS (
     SELECT DISTINCT ON (tenant_id) tenant_id, id FROM trial WHERE kind = $1 AND state = 'running' ORDER BY tenant_id, asked_at, id),
   locked AS (
     SELECT trial.tenant_id, trial.id FROM trial JOIN first USING (tenant_id, id)
     WHERE state = 'running' AND ${isFree}
     ORDER BY trial.asked_at LIMIT $2 FOR UPDATE OF trial SKIP LOCKED)
   UPDATE trial SET fence = fence + 1, lease_until = ${leased('$3')}, started_at = coalesce(started_at, clock_timestamp())
   FROM locked WHERE trial.tenant_id = locked.tenant_id AND trial.id = locked.id
   RETURNING trial.tenant_id AS tenant, trial.id, kind, flow, flow_version AS version, document, events, step, outputs, max_events AS "maxEvents",
     CASE WHEN max_cost_nanos IS NOT NULL THEN json_build_object('nanos', max_cost_nanos, 'currency', max_cost_currency) END AS "maxCost",
     (extract(epoch FROM started_at - clock_timestamp()) * 1000 + max_seconds * 1000.0)::float8 AS "leftMs", asked_at::text AS "askedAt", actor, position,
     scanned, skipped, fence`,
);
const claimColumns = columns<Pick<ClaimedTrial, 'tenant' | 'id' | 'fence'>>({
  tenant_id: ['text', ({ tenant }) => tenant],
  id: ['text', ({ id }) => id],
  fence: ['bigint', ({ fence }) => fence],
});
const renew = statement(
  'trial.renew',
  `UPDATE trial SET lease_until = ${leased('$1')}
   FROM ${claimColumns.unnest('held', 2)}
   WHERE trial.tenant_id = held.tenant_id AND trial.id = held.id AND trial.fence = held.fence AND state = 'running'
   RETURNING trial.id`,
);

const mine = `tenant_id = $1 AND id = $2 AND fence = $3 AND state = 'running'`;
const save = statement('trial.save', `UPDATE trial SET position = $4, scanned = $5, skipped = $6 WHERE ${mine} RETURNING id`);
const release = statement('trial.release', `UPDATE trial SET lease_until = NULL WHERE ${mine}`);
const finish = statement(
  'trial.finish',
  `UPDATE trial SET state = $4, stopped_by = $5, error_code = $6, error_message = $7, lease_until = NULL, finished_at = clock_timestamp()
   WHERE ${mine} RETURNING id`,
);

/** The first outcome of an event stands. Nothing is kept of a trial that was cancelled, or that another process has. */
const keep = statement(
  'trial.keep',
  `WITH held AS (SELECT FROM trial WHERE ${mine} FOR SHARE)
   INSERT INTO trial_outcome (tenant_id, trial_id, event_id, ordinal, customer, received_at, change, is_match, decision, deliveries, steps, error_code,
     error_message, costs, duration_ms, base_run_id, base_costs, base_duration_ms, differences, difference_count, obstacle, stored_reviews,
     expired_reviews)
   SELECT $1, $2, $4::text, $5::integer, $6::text, $7::timestamptz, $8::text, $9::boolean, $10::json, $11::json, $12::json, $13::text, $14::text, $15::json, $16::integer, $17::text, $18::json, $19::integer, $20::json, $21::integer, $22::text,
     $23::integer, $24::integer
   FROM held
   ON CONFLICT DO NOTHING RETURNING event_id`,
);
const kept = statement(
  'trial.kept',
  `SELECT event_id AS "eventId", costs, coalesce(length(steps::text), 0) AS characters FROM trial_outcome WHERE tenant_id = $1 AND trial_id = $2`,
);

const promotable = statement(
  'trial.promotable',
  `SELECT flow, flow_version AS version, obstacle IS NOT NULL AS waits, decision, deliveries, steps, promoted_run_id AS "promotedRunId"
   FROM trial_outcome JOIN trial ON trial.tenant_id = trial_outcome.tenant_id AND trial.id = trial_outcome.trial_id
   WHERE trial_outcome.tenant_id = $1 AND trial_id = $2 AND event_id = $3 AND (obstacle IS NULL OR obstacle = 'waits') AND flow_version IS NOT NULL AND steps IS NOT NULL`,
);
const notePromoted = statement(
  'trial.notePromoted',
  `UPDATE trial_outcome SET promoted_run_id = $4 WHERE tenant_id = $1 AND trial_id = $2 AND event_id = $3 AND promoted_run_id IS NULL`,
);

const eventsBehind = statement('trial.events', `SELECT at::text, id FROM trial_events($1, $2, $3::timestamptz, $4, $5, $6)`);

const baseRuns = statement(
  'trial.baseRuns',
  `WITH base AS (
     SELECT DISTINCT ON (event_id) tenant_id, id, event_id, state, decision, error_code, started_at, finished_at FROM run
     WHERE tenant_id = $1 AND event_id = ANY ($2) AND flow = $3 AND state IN ('completed', 'failed')
     ORDER BY event_id, generation DESC)
   SELECT base.id, base.event_id AS "eventId", base.state, base.decision, base.error_code AS "errorCode",
     (extract(epoch FROM base.finished_at - base.started_at) * 1000)::float8 AS "durationMs",
     (SELECT coalesce(json_object_agg(currency, nanos), '{}') FROM (
       SELECT currency, sum(cost_nanos)::bigint AS nanos FROM model_attempt
       WHERE model_attempt.tenant_id = base.tenant_id AND model_attempt.run_id = base.id AND currency IS NOT NULL GROUP BY currency) AS cost) AS costs,
     (SELECT coalesce(json_agg(json_build_object('step', step, 'destination', destination, 'payload', payload) ORDER BY position), '[]') FROM delivery
       WHERE delivery.tenant_id = base.tenant_id AND delivery.run_id = base.id) AS deliveries
   FROM base`,
);
const storedOutputs = statement(
  'trial.storedOutputs',
  `SELECT step, kind, state, output FROM step_result
   WHERE tenant_id = $1 AND run_id = $2 AND state IN ('succeeded', 'skipped', 'began') AND ($3 OR kind = 'call')`,
);

/** Also those that the run has from an earlier one, because it was promoted. */
const decidedReviews = statement(
  'trial.decidedReviews',
  `SELECT review.id, decided.step, proposal, default_value AS "defaultValue", schema, outcome, value, decided_by AS by, decision_reason AS reason,
     ended_at AS "endedAt"
   FROM (
     SELECT id, step FROM review WHERE tenant_id = $1 AND run_id = $2 AND step = ANY ($3)
     UNION ALL
     SELECT review_id, step FROM step_result WHERE tenant_id = $1 AND run_id = $2 AND step = ANY ($3) AND review_id IS NOT NULL) AS decided
   JOIN review ON review.tenant_id = $1 AND review.id = decided.id
   WHERE review.state = 'decided'`,
);

/** The tables `trial` and `trial_outcome`, and what trials read of runs. */
@Injectable()
export class TrialStore {
  constructor(private readonly database: Database) {}

  /** The state in which the trial was stored; undefined if it exists already. */
  async start(command: StartTrial): Promise<'running' | 'failed' | undefined> {
    const { tenant, commandId, kind, flow, version, document, events, step, outputs, maxEvents, maxSeconds, maxCost, actor } = command;
    const [started] = await this.database.query<{ state: 'running' | 'failed' }>(start, [
      tenant,
      trialId(tenant, commandId),
      kind,
      flow,
      version,
      version === null ? JSON.stringify(document) : null,
      JSON.stringify(events),
      step,
      JSON.stringify(outputs),
      maxEvents,
      maxSeconds,
      maxCost?.nanos ?? null,
      maxCost?.currency ?? null,
      storableText(actor),
    ]);
    if (started !== undefined) await this.database.query(deleteSurplus, [tenant]);
    return started?.state;
  }

  /** Returns the kind of the trial; undefined if it had ended. */
  async cancel({ tenant, trialId: id }: CancelTrial): Promise<TrialKind | undefined> {
    const [row] = await this.database.query<{ kind: TrialKind }>(cancel, [tenant, id]);
    return row?.kind;
  }

  claim(kind: TrialKind, limit: number, leaseMs: number): Promise<ClaimedTrial[]> {
    return this.database.query(claim, [kind, limit, leaseMs]);
  }

  /** Returns the ids of the trials that still run and whose claim is still held. */
  async renew(held: readonly ClaimedTrial[], leaseMs: number): Promise<Set<string>> {
    const rows = await this.database.query<{ id: string }>(renew, [leaseMs, ...claimColumns.values(held)]);
    return new Set(rows.map(({ id }) => id));
  }

  /** Returns false if the trial does not run any more, or the claim was lost. */
  async save({ tenant, id, fence }: ClaimedTrial, { position, scanned, skipped }: TrialProgress): Promise<boolean> {
    return (await this.database.query(save, [tenant, id, fence, JSON.stringify(position), scanned, skipped])).length > 0;
  }

  async release({ tenant, id, fence }: ClaimedTrial): Promise<void> {
    await this.database.query(release, [tenant, id, fence]);
  }

  /** Returns false if the trial did not run any more, or the claim was lost. */
  async finish(
    { tenant, id, fence }: ClaimedTrial,
    { stoppedBy, failure }: { stoppedBy?: 'cost' | 'time' | undefined; failure?: { code: string; message: string } | undefined },
  ): Promise<boolean> {
    const state = failure === undefined ? 'completed' : 'failed';
    const values = [tenant, id, fence, state, stoppedBy ?? null, failure?.code ?? null, storableText(failure?.message ?? null)];
    return (await this.database.query(finish, values)).length > 0;
  }

  async keep({ tenant, id, fence }: ClaimedTrial, ordinal: number, outcome: TrialOutcome): Promise<void> {
    const { decision, failure, steps } = outcome;
    await this.database.query(keep, [
      tenant,
      id,
      fence,
      outcome.eventId,
      ordinal,
      outcome.customer,
      outcome.receivedAt,
      outcome.change,
      outcome.isMatch,
      decision === undefined ? null : JSON.stringify(decision),
      JSON.stringify(outcome.deliveries),
      steps === null ? null : JSON.stringify(steps),
      failure?.code ?? null,
      storableText(failure?.message ?? null),
      JSON.stringify(outcome.costs),
      outcome.durationMs === null ? null : Math.round(outcome.durationMs),
      outcome.baseRunId,
      JSON.stringify(outcome.baseCosts),
      outcome.baseDurationMs === null ? null : Math.round(outcome.baseDurationMs),
      JSON.stringify(outcome.differences),
      outcome.differenceCount,
      outcome.obstacle,
      outcome.storedReviews,
      outcome.expiredReviews,
    ]);
  }

  /** The events that the trial has an outcome of, with what they cost and how much is kept of them. */
  kept({ tenant, id }: ClaimedTrial): Promise<{ eventId: string; costs: Costs; characters: number }[]> {
    return this.database.query(kept, [tenant, id]);
  }

  /** Undefined if the trial, or its outcome for the event, is gone or cannot become a generation. */
  async promotable(tenant: string, trial: string, eventId: string): Promise<PromotableOutcome | undefined> {
    const [outcome] = await this.database.query<PromotableOutcome>(promotable, [tenant, trial, eventId]);
    return outcome;
  }

  async notePromoted(tenant: string, trial: string, eventId: string, runId: string): Promise<void> {
    await this.database.query(notePromoted, [tenant, trial, eventId, runId]);
  }

  /** Events that the filter finds, the latest first, from behind a position on. */
  events(
    { tenant, askedAt }: ClaimedTrial,
    filter: Record<string, unknown>,
    after: EventPosition | null,
    limit: number,
  ): Promise<EventPosition[]> {
    return this.database.query(eventsBehind, [tenant, filter, askedAt, after?.at ?? null, after?.id ?? null, limit]);
  }

  /** By event: the latest run of the flow that has ended. */
  async baseRuns(tenant: string, flow: string, eventIds: readonly string[]): Promise<Map<string, BaseRun>> {
    const rows = await this.database.query<BaseRun>(baseRuns, [tenant, eventIds, flow]);
    return new Map(rows.map((row) => [row.eventId, row]));
  }

  /** The reviews of steps of a run that people have decided. */
  decidedReviews(tenant: string, runId: string, steps: readonly string[]): Promise<DecidedReview[]> {
    return this.database.query(decidedReviews, [tenant, runId, steps]);
  }

  /** @param all false: only those of `call` steps */
  storedOutputs(tenant: string, runId: string, all: boolean): Promise<StoredOutput[]> {
    return this.database.query(storedOutputs, [tenant, runId, all]);
  }
}
