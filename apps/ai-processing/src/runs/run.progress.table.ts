import { Injectable } from '@nestjs/common';
import type { Json, PlannedDelivery } from '#libs/contracts';
import type { ModelAttempt } from '#libs/models';
import { BatchWriter, Database, statement, storableText } from '#libs/persistence';
import type { FinishedStep } from '../flows/flow.runner.js';
import { byIdentity } from './run.table.js';
import type { FinishedRun, RunningRun } from './run.table.js';

/** How a run's claim ends: with the run, or given back for whoever comes next. */
export type RunEnd =
  | { readonly state: 'completed'; readonly decision: Json; readonly deliveries: readonly PlannedDelivery[] }
  | { readonly state: 'failed'; readonly code: string; readonly message: string }
  | { readonly state: 'released'; readonly failure: 'counts' | 'does-not-count' };

/** What came of a run since it was last written, all of it or nothing. */
export interface RunProgress {
  readonly run: RunningRun;
  readonly steps: readonly FinishedStep[];
  /** Stored even where the claim is lost: the calls were made. */
  readonly attempts: readonly { readonly step: string; readonly attempt: ModelAttempt }[];
  /** Questions put to models, from the moment before they are put, whose answers are not stored with or before this. */
  readonly unanswered: number;
  /** Left out while the run is at work; its claim is then renewed. */
  readonly end?: RunEnd;
}

/**
 * Writes what the holders of claims report, of many runs at once. Nothing of a run is changed for one who lost its claim. A step that is stored
 * already is an error: the holder read all of them when it took the claim, and nobody else may add any.
 */
const write = statement(
  'run.progress',
  `WITH held AS (
     UPDATE run SET
       state = CASE WHEN change.state IN ('completed', 'failed') THEN change.state ELSE run.state END,
       lease_until = CASE WHEN change.state IS NULL THEN clock_timestamp() + $1 * interval '1 millisecond' END,
       finished_at = CASE WHEN change.state IN ('completed', 'failed') THEN clock_timestamp() END,
       unanswered = change.unanswered, failures = run.failures + change.failures,
       decision = change.decision, deliveries = change.deliveries, error_code = change.error_code, error_message = change.error_message
     FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::integer[], $8::json[], $9::json[], $10::text[], $11::text[])
       AS change (tenant_id, id, fence, state, unanswered, failures, decision, deliveries, error_code, error_message)
     WHERE run.tenant_id = change.tenant_id AND run.id = change.id AND run.fence = change.fence AND run.state = 'running' AND run.lease_until IS NOT NULL
     RETURNING run.tenant_id, run.id, run.fence, run.event_id, run.finished_at),
   kept AS (
     INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, output, model, response_model, input_tokens, output_tokens,
       started_at, finished_at)
     SELECT tenant_id, id, step, event_id, kind, step.state, output, model, response_model, input_tokens, output_tokens, started_at, step.finished_at
     FROM unnest($12::text[], $13::text[], $14::bigint[], $15::text[], $16::text[], $17::text[], $18::json[], $19::text[], $20::text[], $21::integer[],
       $22::integer[], $23::timestamptz[], $24::timestamptz[])
       AS step (tenant_id, id, fence, step, kind, state, output, model, response_model, input_tokens, output_tokens, started_at, finished_at)
     JOIN held USING (tenant_id, id, fence)),
   attempted AS (
     INSERT INTO model_attempt (tenant_id, run_id, fence, event_id, step, number, model, response_model, provider_request_id, outcome,
       error_code, error_message, input_tokens, output_tokens, started_at, finished_at)
     SELECT * FROM unnest($25::text[], $26::text[], $27::bigint[], $28::text[], $29::text[], $30::integer[], $31::text[], $32::text[], $33::text[],
       $34::text[], $35::text[], $36::text[], $37::integer[], $38::integer[], $39::timestamptz[], $40::timestamptz[])
     ON CONFLICT DO NOTHING)
   SELECT tenant_id AS tenant, id, fence, finished_at AS "finishedAt" FROM held`,
);

/** The tables `run`, `step_result` and `model_attempt`, as far as the holder of a claim writes them. */
@Injectable()
export class RunProgressTable {
  constructor(private readonly database: Database) {}

  /** For each, in their order: the run after it; undefined where the claim is no longer ours. No run may be among them twice. */
  async write(progress: readonly RunProgress[], leaseMs: number): Promise<(RunningRun | FinishedRun | undefined)[]> {
    const sorted = progress.toSorted((a, b) => byIdentity(a.run, b.run));
    const rows = await this.database.query<{ tenant: string; id: string; fence: number; finishedAt: Date | null }>(write, [
      leaseMs,
      ...changesOf(sorted),
      ...stepsOf(sorted),
      ...attemptsOf(sorted),
    ]);
    const written = new Map(rows.map((row) => [keyOf(row), row]));
    return progress.map(({ run, end }) => {
      const row = written.get(keyOf(run));
      return row === undefined ? undefined : after(run, end, row.finishedAt);
    });
  }
}

const keyOf = ({ tenant, id, fence }: { tenant: string; id: string; fence: number }): string => `${tenant}/${id}/${fence}`;

/** Shares its statements among all the runs of the process that are at work. */
export class RunProgressWriter extends BatchWriter<RunProgress, RunningRun | FinishedRun | undefined> {
  constructor(table: RunProgressTable, leaseMs: number) {
    super({ maxBatch: 200, lingerMs: 2, write: (progress) => table.write(progress, leaseMs) });
  }
}

function after(run: RunningRun, end: RunEnd | undefined, finishedAt: Date | null): RunningRun | FinishedRun {
  if (finishedAt === null || end === undefined || end.state === 'released') return run;
  if (end.state === 'failed') return { ...run, state: 'failed', errorCode: end.code, errorMessage: storableText(end.message), finishedAt };
  return { ...run, state: 'completed', decision: end.decision, deliveries: [...end.deliveries], finishedAt };
}

type Columns = readonly (readonly unknown[])[];

function changesOf(progress: readonly RunProgress[]): Columns {
  const column = <T>(value: (one: RunProgress) => T): T[] => progress.map(value);
  const completed = <T>(value: (end: RunEnd & { state: 'completed' }) => T): (T | null)[] =>
    column(({ end }) => (end?.state === 'completed' ? value(end) : null));
  const failed = <T>(value: (end: RunEnd & { state: 'failed' }) => T): (T | null)[] =>
    column(({ end }) => (end?.state === 'failed' ? value(end) : null));
  return [
    column(({ run }) => run.tenant),
    column(({ run }) => run.id),
    column(({ run }) => run.fence),
    column(({ end }) => end?.state ?? null),
    column(({ unanswered }) => unanswered),
    column(({ end }) => (end?.state === 'released' && end.failure === 'counts' ? 1 : 0)),
    completed(({ decision }) => JSON.stringify(decision)),
    completed(({ deliveries }) => JSON.stringify(deliveries)),
    failed(({ code }) => code),
    failed(({ message }) => storableText(message)),
  ];
}

function stepsOf(progress: readonly RunProgress[]): Columns {
  const steps = progress.flatMap(({ run, steps: finished }) => finished.map((step) => ({ run, step })));
  const column = <T>(value: (step: FinishedStep) => T): T[] => steps.map(({ step }) => value(step));
  return [
    steps.map(({ run }) => run.tenant),
    steps.map(({ run }) => run.id),
    steps.map(({ run }) => run.fence),
    column(({ step }) => step),
    column(({ kind }) => kind),
    column(({ state }) => state),
    column(({ output }) => JSON.stringify(output)),
    column(({ inference }) => inference?.model ?? null),
    column(({ inference }) => storableText(inference?.responseModel ?? null)),
    column(({ inference }) => inference?.inputTokens ?? null),
    column(({ inference }) => inference?.outputTokens ?? null),
    column(({ startedAt }) => startedAt),
    column(({ finishedAt }) => finishedAt),
  ];
}

function attemptsOf(progress: readonly RunProgress[]): Columns {
  const attempts = progress.flatMap(({ run, attempts: made }) => made.map((one) => ({ run, ...one })));
  const column = <T>(value: (attempt: ModelAttempt) => T): T[] => attempts.map(({ attempt }) => value(attempt));
  return [
    attempts.map(({ run }) => run.tenant),
    attempts.map(({ run }) => run.id),
    attempts.map(({ run }) => run.fence),
    attempts.map(({ run }) => run.eventId),
    attempts.map(({ step }) => step),
    column(({ number }) => number),
    column(({ model }) => model),
    column(({ responseModel }) => storableText(responseModel)),
    column(({ providerRequestId }) => storableText(providerRequestId)),
    column(({ outcome }) => outcome),
    column(({ errorCode }) => errorCode),
    column(({ errorMessage }) => storableText(errorMessage)),
    column(({ inputTokens }) => inputTokens),
    column(({ outputTokens }) => outputTokens),
    column(({ startedAt }) => startedAt),
    column(({ finishedAt }) => finishedAt),
  ];
}
