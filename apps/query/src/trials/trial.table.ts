import { Injectable } from '@nestjs/common';
import { looksPerTriedEvent } from '#libs/contracts';
import type { Json } from '#libs/json';
import { TenantDatabase, statement } from '#libs/persistence';
import { latencyMs } from '#libs/time';
import { loader } from '../operations/part.js';
import { onePerKey } from '../operations/per-key.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { ListSource, Page, PageArguments } from '../paging/paging.js';
import { costsOf } from '../runs/run.table.js';
import type { ModelCost } from '../runs/run.operations.js';
import type { TrialFilter, TrialOutcomeFilter, TrialOutcomeRow, TrialRow, TrialSummaryRow, TriedStepRow } from './trial.operations.js';

/** Follows from the counts, so it is not stored. */
const hasLooked = `kind = 'backtest' AND state = 'completed' AND scanned >= max_events * ${looksPerTriedEvent} AND scanned - skipped < max_events`;
const trialColumns = `id, kind, flow, flow_version AS "flowVersion", step, state,
  coalesce(stopped_by, CASE WHEN ${hasLooked} THEN 'looks' END) AS "stoppedBy", max_events AS "maxEvents", max_seconds AS "maxSeconds",
  scanned, skipped, actor, asked_at AS "askedAt", started_at AS "startedAt", finished_at AS "finishedAt", error_code AS "errorCode",
  error_message AS "errorMessage"`;
const list: ListSource<TrialRow, TrialRow> = {
  name: 'trial',
  page: statement('query.trial.page', `SELECT ${trialColumns} FROM trial_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.trial.count', `SELECT trial_count($1, $2, $3) AS found`),
  positionOf: ({ askedAt, id }) => ({ key: askedAt.toISOString(), id }),
  rowOf: (row) => row,
};
const byIds = statement('query.trial.byIds', `SELECT ${trialColumns} FROM trials_by_id($1, $2)`);

interface RawOutcome extends Omit<TrialOutcomeRow, 'differences'> {
  differences: readonly { path: string; before?: Json; after?: Json }[];
}
const outcomeList: ListSource<TrialOutcomeRow, RawOutcome> = {
  name: 'trial_outcome',
  page: statement(
    'query.trialOutcome.page',
    `SELECT trial_id AS "trialId", event_id AS "eventId", ordinal, change, is_match AS "isMatch", decision, deliveries, differences,
       difference_count AS "differenceCount", error_code AS "errorCode", error_message AS "errorMessage", costs, duration_ms AS "durationMs",
       base_run_id AS "baseRunId", promoted_run_id AS "promotedRunId", base_costs AS "baseCosts", base_duration_ms AS "baseDurationMs",
       stored_reviews AS "storedReviews", expired_reviews AS "expiredReviews", nullif(obstacle, 'waits') AS obstacle, coalesce(obstacle, '') = 'waits' AS waits
     FROM trial_outcome_page($1, $2, $3, $4, $5, $6)`,
  ),
  count: statement('query.trialOutcome.count', `SELECT trial_outcome_count($1, $2, $3) AS found`),
  positionOf: ({ ordinal, eventId }) => ({ key: String(ordinal), id: eventId }),
  rowOf: (raw) => ({
    ...raw,
    differences: raw.differences.map(({ path, before, after }) => ({ path, before: before ?? null, after: after ?? null })),
  }),
};

/** A step as the trial kept it. */
interface KeptStep extends Pick<TriedStepRow, 'id' | 'kind' | 'state' | 'output' | 'costs'> {
  readonly acts?: boolean;
  readonly reviewSource?: TriedStepRow['reviewSource'];
  readonly reviewId?: string | null;
  readonly input?: Json;
  readonly failure?: { code: string; message: string };
  readonly inference?: { model: string };
  readonly startedAt: string;
  readonly finishedAt: string;
}
const steps = statement('query.trialOutcome.steps', `SELECT key, steps FROM steps_of_trial_outcomes($1, $2)`);
const summaries = statement(
  'query.trial.summaries',
  `SELECT trial_id AS "trialId", events, same, different, fresh AS new, not_run AS "notRun", failed, recovered, promotable, median AS "medianDurationMs",
     base_median AS "baseMedianDurationMs", costs, base_costs AS "baseCosts", stored_reviews AS "storedReviews", expired_reviews AS "expiredReviews"
   FROM trial_summaries($1, $2)`,
);
const storedReviews = statement('query.trial.storedReviews', `SELECT stored_reviews_of_promotion($1, $2) AS found`);

const nothing = {
  events: 0,
  same: 0,
  different: 0,
  new: 0,
  notRun: 0,
  failed: 0,
  recovered: 0,
  promotable: 0,
  storedReviews: 0,
  expiredReviews: 0,
  medianDurationMs: null,
  baseMedianDurationMs: null,
  costs: {},
  baseCosts: {},
};

/** Costs as doors tell them. */
export function modelCostsOf(costs: Readonly<Record<string, number>>): ModelCost[] {
  return costsOf(Object.entries(costs).map(([currency, costNanos]) => ({ currency, costNanos })));
}

@Injectable()
export class TrialTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: TrialFilter, page: PageArguments): Promise<Page<TrialRow>> {
    return this.paging.page(list, tenant, conditions({ ...filter }), page);
  }

  outcomes(tenant: string, trial: string, filter: TrialOutcomeFilter, page: PageArguments): Promise<Page<TrialOutcomeRow>> {
    return this.paging.page(outcomeList, tenant, conditions({ ...filter, trial }), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(TrialRow | null)[]> {
    return onePerKey(ids, await this.database.query<TrialRow>(byIds, [tenant, ids]), (row) => row.id);
  }

  async summaries(tenant: string, ids: readonly string[]): Promise<TrialSummaryRow[]> {
    const rows = onePerKey(ids, await this.database.query<TrialSummaryRow>(summaries, [tenant, ids]), (row) => row.trialId);
    return rows.map((row, at) => row ?? { ...nothing, trialId: ids[at]! });
  }

  /** How many decisions of people the outcomes have that a promotion would make generations of. */
  async storedReviews(tenant: string, filter: { readonly trial: string; readonly onlyChanged: boolean }): Promise<number> {
    const [row] = await this.database.query<{ found: number }>(storedReviews, [tenant, filter]);
    return row!.found;
  }

  /** @param keys each the id of a trial and that of an event, with a space between them */
  async steps(tenant: string, keys: readonly string[]): Promise<(TriedStepRow[] | null)[]> {
    const rows = await this.database.query<{ key: string; steps: KeptStep[] | null }>(steps, [tenant, keys]);
    return onePerKey(keys, rows, ({ key }) => key).map((row) => row?.steps?.map(rowOfStep) ?? null);
  }
}

function rowOfStep({
  id,
  kind,
  state,
  input,
  output,
  failure,
  inference,
  startedAt,
  finishedAt,
  costs,
  acts = false,
  reviewSource = null,
  reviewId = null,
}: KeptStep): TriedStepRow {
  const durationMs = latencyMs(Date.parse(startedAt), Date.parse(finishedAt));
  return {
    id,
    kind,
    state,
    input: input ?? null,
    output,
    model: inference?.model ?? null,
    failure: failure ?? null,
    durationMs,
    costs,
    acts,
    reviewSource,
    reviewId,
  };
}

export const trialById = loader((get, tenant, ids) => get(TrialTable).byIds(tenant, ids));
export const summaryOfTrial = loader((get, tenant, ids) => get(TrialTable).summaries(tenant, ids));
export const stepsOfTrialOutcome = loader((get, tenant, keys) => get(TrialTable).steps(tenant, keys));
