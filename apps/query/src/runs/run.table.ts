import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { TenantDatabase, statement } from '#libs/persistence';
import { loader } from '../operations/part.js';
import { manyPerKey, onePerKey } from '../operations/per-key.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Page, ListSource, PageArguments } from '../paging/paging.js';
import type {
  ModelCost,
  RunFilter,
  RunRow,
  TokenUsage,
  modelAttempt,
  operationAttempt,
  runDelay,
  runWait,
  step,
} from './run.operations.js';

interface RunTokens {
  runId: string;
  inputTokens: number | null;
  outputTokens: number | null;
}

export type StepRow = z.infer<typeof step> & RunTokens & { readonly reviewId: string | null };
export type RunWaitRow = z.infer<typeof runWait> & { readonly runId: string };
export type RunDelayRow = z.infer<typeof runDelay> & { readonly runId: string };
export type ModelAttemptRow = z.infer<typeof modelAttempt> & RunTokens & { costNanos: number | null; currency: string | null };

export type OperationAttemptRow = z.infer<typeof operationAttempt> & { runId: string };

/** The tokens that a model call used; null if the model did not report them. */
export function usageOf({ inputTokens, outputTokens }: RunTokens): TokenUsage | null {
  return inputTokens === null && outputTokens === null ? null : { inputTokens: inputTokens ?? 0, outputTokens: outputTokens ?? 0 };
}

/** The costs of calls by currency, in the order of their first calls. Calls without a price are left out. */
export function costsOf(attempts: readonly Pick<ModelAttemptRow, 'costNanos' | 'currency'>[]): ModelCost[] {
  const nanos = new Map<string, number>();
  for (const { costNanos, currency } of attempts)
    if (costNanos !== null && currency !== null) nanos.set(currency, (nanos.get(currency) ?? 0) + costNanos);
  return [...nanos].map(([currency, sum]) => costOf(sum, currency));
}

/** @param nanos billionths of the currency */
export function costOf(nanos: number, currency: string): ModelCost {
  return { amount: decimalOf(nanos), currency };
}

function decimalOf(nanos: number): string {
  const places = String(nanos % 1e9)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${Math.floor(nanos / 1e9)}${places === '' ? '' : `.${places}`}`;
}

const columns = `id, event_id AS "eventId", flow, flow_version AS "flowVersion", generation, state, decision, default_reason AS "defaultReason", decide_by AS "decideBy",
  error_code AS "errorCode", error_message AS "errorMessage", trace_id AS "traceId", started_at AS "startedAt", finished_at AS "finishedAt"`;
const list: ListSource<RunRow, RunRow> = {
  name: 'run',
  page: statement('query.run.page', `SELECT ${columns} FROM run_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.run.count', `SELECT run_count($1, $2, $3) AS found`),
  positionOf: ({ startedAt, id }) => ({ key: startedAt.toISOString(), id }),
  rowOf: (row) => row,
};
const byIds = statement('query.run.byIds', `SELECT ${columns} FROM runs_by_id($1, $2)`);
const ofEvents = statement('query.run.ofEvents', `SELECT ${columns} FROM runs_of_events($1, $2)`);
const steps = statement(
  'query.run.steps',
  `SELECT run_id AS "runId", step AS id, kind, state, output, model, response_model AS "responseModel", input_tokens AS "inputTokens",
     output_tokens AS "outputTokens", started_at AS "startedAt", finished_at AS "finishedAt", review_id AS "reviewId",
     CASE WHEN error_code IS NOT NULL THEN json_build_object('code', error_code, 'message', error_message) END AS failure FROM steps_of_runs($1, $2)`,
);
const modelAttempts = statement(
  'query.run.modelAttempts',
  `SELECT run_id AS "runId", step, number, provider, model, response_model AS "responseModel", provider_request_id AS "providerRequestId", outcome,
     error_code AS "errorCode", error_message AS "errorMessage", budget, input_tokens AS "inputTokens", output_tokens AS "outputTokens",
     cost_nanos AS "costNanos", currency, started_at AS "startedAt", finished_at AS "finishedAt" FROM model_attempts_of_runs($1, $2)`,
);
const operationAttempts = statement(
  'query.run.operationAttempts',
  `SELECT run_id AS "runId", step, connection, operation, coalesce(outcome, 'unknown') AS outcome, status, response_excerpt AS "responseExcerpt",
     error_code AS "errorCode", error_message AS "errorMessage", started_at AS "startedAt", finished_at AS "finishedAt"
     FROM operation_attempts_of_runs($1, $2)`,
);

const waits = statement(
  'query.run.waits',
  `SELECT run_id AS "runId", step, types IS NOT NULL AS "forEvent", due_at AS "dueAt", began_at AS "beganAt", over_at AS "endedAt", reason FROM waits_of_runs($1, $2)`,
);
const delays = statement(
  'query.run.delays',
  `SELECT run_id AS "runId", nullif(step, '-') AS step, code, message, nullif(budget, '-') AS budget, began_at AS since, ends_at AS until
   FROM delays_of_runs($1, $2)`,
);

@Injectable()
export class RunTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: RunFilter, page: PageArguments): Promise<Page<RunRow>> {
    return this.paging.page(list, tenant, conditions({ ...filter }), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(RunRow | null)[]> {
    return onePerKey(ids, await this.database.query<RunRow>(byIds, [tenant, ids]), (row) => row.id);
  }

  async ofEvents(tenant: string, eventIds: readonly string[]): Promise<RunRow[][]> {
    return manyPerKey(eventIds, await this.database.query<RunRow>(ofEvents, [tenant, eventIds]), (row) => row.eventId);
  }

  async steps(tenant: string, runIds: readonly string[]): Promise<StepRow[][]> {
    return manyPerKey(runIds, await this.database.query<StepRow>(steps, [tenant, runIds]), (row) => row.runId);
  }

  async waits(tenant: string, runIds: readonly string[]): Promise<RunWaitRow[][]> {
    return manyPerKey(runIds, await this.database.query<RunWaitRow>(waits, [tenant, runIds]), (row) => row.runId);
  }

  async delays(tenant: string, runIds: readonly string[]): Promise<(RunDelayRow | null)[]> {
    return onePerKey(runIds, await this.database.query<RunDelayRow>(delays, [tenant, runIds]), (row) => row.runId);
  }

  async modelAttempts(tenant: string, runIds: readonly string[]): Promise<ModelAttemptRow[][]> {
    return manyPerKey(runIds, await this.database.query<ModelAttemptRow>(modelAttempts, [tenant, runIds]), (row) => row.runId);
  }

  async operationAttempts(tenant: string, runIds: readonly string[]): Promise<OperationAttemptRow[][]> {
    return manyPerKey(runIds, await this.database.query<OperationAttemptRow>(operationAttempts, [tenant, runIds]), (row) => row.runId);
  }
}

export const runById = loader((get, tenant, ids) => get(RunTable).byIds(tenant, ids));
export const runsOfEvent = loader((get, tenant, ids) => get(RunTable).ofEvents(tenant, ids));
export const stepsOfRun = loader((get, tenant, ids) => get(RunTable).steps(tenant, ids));
export const modelAttemptsOfRun = loader((get, tenant, ids) => get(RunTable).modelAttempts(tenant, ids));
export const waitsOfRun = loader((get, tenant, ids) => get(RunTable).waits(tenant, ids));
export const delayOfRun = loader((get, tenant, ids) => get(RunTable).delays(tenant, ids));
export const operationAttemptsOfRun = loader((get, tenant, ids) => get(RunTable).operationAttempts(tenant, ids));
