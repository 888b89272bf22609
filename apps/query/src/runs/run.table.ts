import { Injectable } from '@nestjs/common';
import type { StepKind } from '#libs/contracts';
import { TenantDatabase, statement } from '#libs/persistence';
import type { RunFilter, RunState, StepState, TokenUsage } from '../generated/schema.js';
import { manyPerKey, onePerKey } from '../graphql/batches.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Connection, ListSource, PageArguments } from '../paging/paging.js';

export interface RunRow {
  __typename: 'Run';
  id: string;
  eventId: string;
  flow: string;
  flowVersion: number;
  generation: number;
  state: RunState;
  decision: unknown;
  errorCode: string | null;
  errorMessage: string | null;
  traceId: string | null;
  startedAt: Date;
  finishedAt: Date | null;
}
export type RunPage = Connection<RunRow>;

interface Spent {
  inputTokens: number | null;
  outputTokens: number | null;
}

export interface StepRow extends Spent {
  runId: string;
  id: string;
  kind: StepKind;
  state: StepState;
  output: unknown;
  model: string | null;
  responseModel: string | null;
  startedAt: Date;
  finishedAt: Date;
}

export interface ModelAttemptRow extends Spent {
  runId: string;
  step: string;
  number: number;
  model: string;
  responseModel: string | null;
  providerRequestId: string | null;
  outcome: string;
  errorCode: string | null;
  errorMessage: string | null;
  startedAt: Date;
  finishedAt: Date;
}

/** The tokens a model call used; null where the model said nothing about it. */
export function usageOf({ inputTokens, outputTokens }: Spent): TokenUsage | null {
  return inputTokens === null && outputTokens === null ? null : { inputTokens: inputTokens ?? 0, outputTokens: outputTokens ?? 0 };
}

const columns = `'Run' AS "__typename", id, event_id AS "eventId", flow, flow_version AS "flowVersion", generation, state, decision,
  error_code AS "errorCode", error_message AS "errorMessage", trace_id AS "traceId", started_at AS "startedAt", finished_at AS "finishedAt"`;
const list: ListSource<RunRow, RunRow & { sortKey: string }> = {
  name: 'run',
  page: statement('query.run.page', `SELECT ${columns}, started_at::text AS "sortKey" FROM run_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.run.count', `SELECT run_count($1, $2, $3) AS found`),
  idOf: (row) => row.id,
  rowOf: (row) => row,
};
const byIds = statement('query.run.byIds', `SELECT ${columns} FROM runs_by_id($1, $2)`);
const ofEvents = statement('query.run.ofEvents', `SELECT ${columns} FROM runs_of_events($1, $2)`);
const steps = statement(
  'query.run.steps',
  `SELECT run_id AS "runId", step AS id, kind, state, output, model, response_model AS "responseModel", input_tokens AS "inputTokens",
     output_tokens AS "outputTokens", started_at AS "startedAt", finished_at AS "finishedAt" FROM steps_of_runs($1, $2)`,
);
const modelAttempts = statement(
  'query.run.modelAttempts',
  `SELECT run_id AS "runId", step, number, model, response_model AS "responseModel", provider_request_id AS "providerRequestId", outcome,
     error_code AS "errorCode", error_message AS "errorMessage", input_tokens AS "inputTokens", output_tokens AS "outputTokens",
     started_at AS "startedAt", finished_at AS "finishedAt" FROM model_attempts_of_runs($1, $2)`,
);

@Injectable()
export class RunTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: RunFilter, page: PageArguments): Promise<RunPage> {
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

  async modelAttempts(tenant: string, runIds: readonly string[]): Promise<ModelAttemptRow[][]> {
    return manyPerKey(runIds, await this.database.query<ModelAttemptRow>(modelAttempts, [tenant, runIds]), (row) => row.runId);
  }
}
