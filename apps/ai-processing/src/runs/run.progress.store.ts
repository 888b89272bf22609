import { Injectable } from '@nestjs/common';
import type { Json, PlannedDelivery } from '#libs/contracts';
import type { ModelAttempt } from '#libs/models';
import { BatchWriter, Database, columns, statement, storableText } from '#libs/persistence';
import type { FinishedStep } from '../flows/flow.runner.js';
import { byIdentity } from './run.store.js';
import type { FinishedRun, RunningRun } from './run.store.js';

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

const completionOf = ({ end }: RunProgress) => (end?.state === 'completed' ? end : undefined);
const failureOf = ({ end }: RunProgress) => (end?.state === 'failed' ? end : undefined);
const jsonOf = (value: unknown): string | undefined => JSON.stringify(value);

const changeColumns = columns<RunProgress>({
  tenant_id: ['text', ({ run }) => run.tenant],
  id: ['text', ({ run }) => run.id],
  fence: ['bigint', ({ run }) => run.fence],
  state: ['text', ({ end }) => end?.state],
  unanswered: ['integer', ({ unanswered }) => unanswered],
  failures: ['integer', ({ end }) => (end?.state === 'released' && end.failure === 'counts' ? 1 : 0)],
  decision: ['json', (progress) => jsonOf(completionOf(progress)?.decision)],
  deliveries: ['json', (progress) => jsonOf(completionOf(progress)?.deliveries)],
  error_code: ['text', (progress) => failureOf(progress)?.code],
  error_message: ['text', (progress) => storableText(failureOf(progress)?.message ?? null)],
});

const stepColumns = columns<{ run: RunningRun; step: FinishedStep }>({
  tenant_id: ['text', ({ run }) => run.tenant],
  id: ['text', ({ run }) => run.id],
  fence: ['bigint', ({ run }) => run.fence],
  step: ['text', ({ step }) => step.step],
  kind: ['text', ({ step }) => step.kind],
  state: ['text', ({ step }) => step.state],
  output: ['json', ({ step }) => jsonOf(step.output)],
  model: ['text', ({ step }) => step.inference?.model],
  response_model: ['text', ({ step }) => storableText(step.inference?.responseModel ?? null)],
  input_tokens: ['integer', ({ step }) => step.inference?.inputTokens],
  output_tokens: ['integer', ({ step }) => step.inference?.outputTokens],
  started_at: ['timestamptz', ({ step }) => step.startedAt],
  finished_at: ['timestamptz', ({ step }) => step.finishedAt],
});

const attemptColumns = columns<{ run: RunningRun; step: string; attempt: ModelAttempt }>({
  tenant_id: ['text', ({ run }) => run.tenant],
  run_id: ['text', ({ run }) => run.id],
  fence: ['bigint', ({ run }) => run.fence],
  event_id: ['text', ({ run }) => run.eventId],
  step: ['text', ({ step }) => step],
  number: ['integer', ({ attempt }) => attempt.number],
  model: ['text', ({ attempt }) => attempt.model],
  response_model: ['text', ({ attempt }) => storableText(attempt.responseModel)],
  provider_request_id: ['text', ({ attempt }) => storableText(attempt.providerRequestId)],
  outcome: ['text', ({ attempt }) => attempt.outcome],
  error_code: ['text', ({ attempt }) => attempt.errorCode],
  error_message: ['text', ({ attempt }) => storableText(attempt.errorMessage)],
  input_tokens: ['integer', ({ attempt }) => attempt.inputTokens],
  output_tokens: ['integer', ({ attempt }) => attempt.outputTokens],
  started_at: ['timestamptz', ({ attempt }) => attempt.startedAt],
  finished_at: ['timestamptz', ({ attempt }) => attempt.finishedAt],
});

const stepsFrom = 2 + changeColumns.size;
const attemptsFrom = stepsFrom + stepColumns.size;

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
     FROM ${changeColumns.unnest('change', 2)}
     WHERE run.tenant_id = change.tenant_id AND run.id = change.id AND run.fence = change.fence AND run.state = 'running' AND run.lease_until IS NOT NULL
     RETURNING run.tenant_id, run.id, run.fence, run.event_id, run.finished_at),
   kept AS (
     INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, output, model, response_model, input_tokens, output_tokens,
       started_at, finished_at)
     SELECT tenant_id, id, step, event_id, kind, step.state, output, model, response_model, input_tokens, output_tokens, started_at, step.finished_at
     FROM ${stepColumns.unnest('step', stepsFrom)}
     JOIN held USING (tenant_id, id, fence)),
   attempted AS (
     INSERT INTO model_attempt (${attemptColumns.names})
     SELECT * FROM ${attemptColumns.unnest('attempt', attemptsFrom)}
     ON CONFLICT DO NOTHING)
   SELECT tenant_id AS tenant, id, fence, finished_at AS "finishedAt" FROM held`,
);

/** The tables `run`, `step_result` and `model_attempt`, as far as the holder of a claim writes them. */
@Injectable()
export class RunProgressStore {
  constructor(private readonly database: Database) {}

  /** For each, in their order: the run after it; undefined where the claim is no longer ours. No run may be among them twice. */
  async write(progress: readonly RunProgress[], leaseMs: number): Promise<(RunningRun | FinishedRun | undefined)[]> {
    const sorted = progress.toSorted((a, b) => byIdentity(a.run, b.run));
    const rows = await this.database.query<{ tenant: string; id: string; fence: number; finishedAt: Date | null }>(write, [
      leaseMs,
      ...changeColumns.values(sorted),
      ...stepColumns.values(sorted.flatMap(({ run, steps }) => steps.map((step) => ({ run, step })))),
      ...attemptColumns.values(sorted.flatMap(({ run, attempts }) => attempts.map((made) => ({ run, ...made })))),
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
  constructor(store: RunProgressStore, leaseMs: number) {
    super({ maxBatch: 200, lingerMs: 2, write: (progress) => store.write(progress, leaseMs) });
  }
}

function after(run: RunningRun, end: RunEnd | undefined, finishedAt: Date | null): RunningRun | FinishedRun {
  if (finishedAt === null || end === undefined || end.state === 'released') return run;
  if (end.state === 'failed') return { ...run, state: 'failed', errorCode: end.code, errorMessage: storableText(end.message), finishedAt };
  return { ...run, state: 'completed', decision: end.decision, deliveries: [...end.deliveries], finishedAt };
}
