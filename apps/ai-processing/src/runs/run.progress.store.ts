import { Injectable } from '@nestjs/common';
import type { PlannedDelivery } from '#libs/contracts';
import { newDeliveryColumns } from '#libs/deliveries';
import type { NewDelivery } from '#libs/deliveries';
import type { BegunOperation, CallRecord, FinishedStep, ReviewRequest } from '#libs/flows';
import type { Json } from '#libs/json';
import { BatchWriter, Database, columns, statement, storableText } from '#libs/persistence';
import type { Statement } from '#libs/persistence';
import { placeOf, tellOf, withdrawing, withdrawnReviews } from '../reviews/review.store.js';
import { byIdentity, lockOrder } from './run.store.js';
import type { Run, RunningRun } from './run.store.js';

/** A wait of a run, to be stored with the end of its work. One that is stored already stays as it is. */
export interface NewWait {
  readonly step: string;
  readonly dueAt: Date;
  /** Patterns of LIKE; undefined: no event ends it. */
  readonly types: readonly string[] | undefined;
  readonly since: Date;
  readonly looked: number;
  readonly traceparent: string | undefined;
}

/** A review of a run, to be stored with the wait for it. One that is stored already stays as it is. */
export interface NewReview {
  readonly step: string;
  readonly id: string;
  readonly request: ReviewRequest;
}

/** The reason for which a run cannot go on, although nothing is wrong with it. */
export interface RunDelay {
  /** The path of the step that cannot go on; undefined: none. */
  readonly step: string | undefined;
  readonly code: string;
  readonly message: string;
  /** The Budget document that is spent; undefined: another reason. */
  readonly budget: string | undefined;
  /** When it ends by itself; undefined: not known. */
  readonly endsAt: Date | undefined;
}

/** The end of a run's claim: the run is finished, waits, or is released for the next try. */
export type RunEnd =
  | {
      readonly state: 'completed';
      readonly decision: Json;
      /** A code of failures.md; undefined: the flow decided. Then nothing is written once the run's `decideBy` has passed by Postgres' clock. */
      readonly defaultReason?: string;
      readonly deliveries: readonly NewDelivery[];
      /** Deliveries that are to be planned from the announcement; default: none. */
      readonly unplanned?: readonly PlannedDelivery[];
    }
  | { readonly state: 'failed'; readonly code: string; readonly message: string; readonly deliveries?: readonly NewDelivery[] }
  | { readonly state: 'waiting'; readonly waits: readonly NewWait[]; readonly reviews: readonly NewReview[] }
  | { readonly state: 'released'; readonly failure: 'counts' | 'does-not-count'; readonly delay?: RunDelay | undefined };

/** A step with its place in the order in which the results of its run were kept, from 0. */
export type KeptStep = FinishedStep & { readonly ordinal: number };

/** The progress of a run since the last write. It is written completely or not at all. */
export interface RunProgress {
  readonly run: RunningRun;
  readonly steps: readonly KeptStep[];
  /** Operations that are about to be sent. Default: none. */
  readonly begun?: readonly (BegunOperation & { readonly step: string; readonly number: number })[];
  /** Requests of calls. They are stored even if the claim is lost, because they were made. */
  readonly calls: readonly { readonly step: string; readonly request: CallRecord }[];
  /** Number of noted calls whose results are not stored by this write or an earlier one. */
  readonly unanswered: number;
  /** Absent while the run is at work; the write then renews the claim. */
  readonly end?: RunEnd;
  /** True: the run has asked people, and what they have not decided is withdrawn if it ends. Default: false. */
  readonly hasAsked?: boolean;
}

/** The first progress of an event's only run, which is stored with it. It has no calls: a call is made after it was noted. */
export interface FirstProgress extends Omit<RunProgress, 'calls'> {
  /** By the clock of the process, as the times of its steps are. */
  readonly startedAt: Date;
  readonly traceId: string | null;
}

type Ending = Pick<RunProgress, 'end'>;
const completionOf = ({ end }: Ending) => (end?.state === 'completed' ? end : undefined);
const unplannedOf = (progress: Ending): string | undefined => {
  const completion = completionOf(progress);
  return completion && (completion.unplanned === undefined ? '[]' : JSON.stringify(completion.unplanned));
};
const failureOf = ({ end }: Ending) => (end?.state === 'failed' ? end : undefined);
const jsonOf = (value: unknown): string | undefined => JSON.stringify(value);

/** The columns that a write of either kind ends or leaves as they are. */
const endColumns: Parameters<typeof columns<Pick<RunProgress, 'end' | 'unanswered'>>>[0] = {
  state: ['text', ({ end }) => end?.state],
  unanswered: ['integer', ({ unanswered }) => unanswered],
  failures: ['integer', ({ end }) => (end?.state === 'released' && end.failure === 'counts' ? 1 : 0)],
  decision: ['json', (progress) => jsonOf(completionOf(progress)?.decision)],
  deliveries: ['json', (progress) => unplannedOf(progress)],
  default_reason: ['text', (progress) => completionOf(progress)?.defaultReason],
  error_code: ['text', (progress) => failureOf(progress)?.code],
  error_message: ['text', (progress) => storableText(failureOf(progress)?.message ?? null)],
};

const changeColumns = columns<RunProgress>({
  tenant_id: ['text', ({ run }) => run.tenant],
  id: ['text', ({ run }) => run.id],
  fence: ['bigint', ({ run }) => run.fence],
  ...endColumns,
});

const stepColumns = columns<{ run: RunningRun; step: KeptStep }>({
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
  ordinal: ['integer', ({ step }) => step.ordinal],
  error_code: ['text', ({ step }) => step.failure?.code],
  error_message: ['text', ({ step }) => storableText(step.failure?.message ?? null)],
  review_id: ['text', ({ step }) => step.reviewId],
});

type ModelRequest = Extract<CallRecord, { kind: 'model' }>;
type OperationRequest = Extract<CallRecord, { kind: 'operation' }>;

const requestColumns = columns<{ run: RunningRun; step: string; request: ModelRequest }>({
  tenant_id: ['text', ({ run }) => run.tenant],
  run_id: ['text', ({ run }) => run.id],
  fence: ['bigint', ({ run }) => run.fence],
  event_id: ['text', ({ run }) => run.eventId],
  step: ['text', ({ step }) => step],
  number: ['integer', ({ request }) => request.number],
  provider: ['text', ({ request }) => request.provider],
  model: ['text', ({ request }) => request.model],
  response_model: ['text', ({ request }) => storableText(request.responseModel)],
  provider_request_id: ['text', ({ request }) => storableText(request.providerRequestId)],
  outcome: ['text', ({ request }) => request.outcome],
  error_code: ['text', ({ request }) => request.errorCode],
  error_message: ['text', ({ request }) => storableText(request.errorMessage)],
  budget: ['text', ({ request }) => request.budget],
  input_tokens: ['integer', ({ request }) => request.inputTokens],
  output_tokens: ['integer', ({ request }) => request.outputTokens],
  cost_nanos: ['bigint', ({ request }) => request.costNanos],
  currency: ['text', ({ request }) => request.currency],
  started_at: ['timestamptz', ({ request }) => request.startedAt],
  finished_at: ['timestamptz', ({ request }) => request.finishedAt],
});

const firstColumns = columns<FirstProgress>({
  tenant_id: ['text', ({ run }) => run.tenant],
  id: ['text', ({ run }) => run.id],
  event_id: ['text', ({ run }) => run.eventId],
  customer: ['text', ({ run }) => run.customer],
  flow: ['text', ({ run }) => run.flow],
  flow_version: ['integer', ({ run }) => run.flowVersion],
  trace_id: ['text', ({ traceId }) => traceId],
  started_at: ['timestamptz', ({ startedAt }) => startedAt],
  ...endColumns,
  decide_by: ['timestamptz', ({ run }) => run.decideBy],
});

const waitColumns = columns<{ run: RunningRun; wait: NewWait }>({
  tenant_id: ['text', ({ run }) => run.tenant],
  id: ['text', ({ run }) => run.id],
  fence: ['bigint', ({ run }) => run.fence],
  step: ['text', ({ wait }) => wait.step],
  due_at: ['timestamptz', ({ wait }) => wait.dueAt],
  types: ['json', ({ wait }) => jsonOf(wait.types)],
  since: ['timestamptz', ({ wait }) => wait.since],
  looked: ['integer', ({ wait }) => wait.looked],
  traceparent: ['text', ({ wait }) => wait.traceparent],
});

/** Stores the waits of the runs that `held` has. One whose event was not the one goes on. */
const keepWaits = (from: number): string => `
     INSERT INTO run_wait (tenant_id, run_id, step, event_id, customer, due_at, types, since, looked, traceparent)
     SELECT tenant_id, id, step, event_id, customer, due_at, types, since, looked, traceparent
     FROM ${waitColumns.unnest('wait', from)}
     JOIN held USING (tenant_id, id, fence)
     ON CONFLICT (tenant_id, run_id, step) DO UPDATE SET state = 'pending', reason = NULL, over_at = NULL, told_at = NULL, looked = EXCLUDED.looked
     WHERE run_wait.state = 'taken' AND run_wait.reason = 'event'`;

const deliveryArrays = newDeliveryColumns.names
  .split(', ')
  .map((name) => `array_agg(delivery.${name} ORDER BY number)`)
  .join(', ');

/** Stores the steps of the runs that `held` has. @param from the number of the first parameter */
const keepSteps = (from: number): string => `
     INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, output, model, response_model, input_tokens, output_tokens,
       started_at, finished_at, ordinal, error_code, error_message, review_id)
     SELECT tenant_id, id, step, event_id, kind, step.state, output, model, response_model, input_tokens, output_tokens, started_at, step.finished_at,
       ordinal, error_code, error_message, review_id
     FROM ${stepColumns.unnest('step', from)}
     JOIN held USING (tenant_id, id, fence)`;

/** Plans the deliveries of the runs that `held` has. A subquery that nothing selects from is not executed, so `added` is to be selected. */
const plan = (from: number): string => `
     SELECT plan_deliveries(${deliveryArrays}) AS added
     FROM ${newDeliveryColumns.unnestNumbered('delivery', from)}
     JOIN held ON held.tenant_id = delivery.tenant_id AND held.id = delivery.run_id
     HAVING count(*) > 0`;

/**
 * Stores operations: one that begins only for a run that `held` has, the end of one also if the claim is lost. Few flows have operations, so others do
 * without this part.
 * @param at the number of the parameter with the operations, in JSON
 */
const keepOperations = (at: number): string => `,
   operated AS (
     INSERT INTO operation_attempt (tenant_id, run_id, step, fence, number, event_id, connection, operation, started_at, finished_at, outcome, status,
       response_excerpt, error_code, error_message)
     SELECT made.tenant, made.run, made.step, made.fence, number, made.event, connection, operation, started_at, made.finished_at, outcome, status, excerpt, code,
       message
     FROM json_to_recordset($${at}::json) AS made (tenant text, run text, step text, fence bigint, number integer, event text, connection text, operation text,
       started_at timestamptz, finished_at timestamptz, outcome text, status integer, excerpt text, code text, message text)
     WHERE outcome IS NOT NULL OR EXISTS (
       SELECT FROM held WHERE held.tenant_id = made.tenant AND held.id = made.run AND held.fence = made.fence)
     ON CONFLICT (tenant_id, run_id, step, fence, number) DO UPDATE SET finished_at = excluded.finished_at, outcome = excluded.outcome,
       status = excluded.status, response_excerpt = excluded.response_excerpt, error_code = excluded.error_code,
       error_message = excluded.error_message)`;

/** True for a decision of the flow that comes after its caller needed it: the default decision counts by then, whether or not it is stored. */
const isLate = (ending: string, decideBy: string): string =>
  `(${ending}.state = 'completed' AND ${ending}.default_reason IS NULL AND ${decideBy} IS NOT NULL AND ${decideBy} <= clock_timestamp())`;

/**
 * Stores the reviews of runs that `held` has, and tells those who follow the queue. Few runs ask a person, so others do without this part.
 * @param at the number of the parameter with the reviews, in JSON
 */
const keepReviews = (at: number): string => `,
   asked AS (
     INSERT INTO review (tenant_id, id, run_id, step, event_id, customer, flow, priority, place, proposal, default_value, schema, reason, context,
       expires_at, escalate_at)
     SELECT held.tenant_id, made.id, held.id, made.step, held.event_id, held.customer, made.flow, made.priority, ${placeOf('made.priority')},
       made.proposal, made.default_value, made.schema, made.reason, made.context, made.expires_at, made.escalate_at
     FROM json_to_recordset($${at}::json) AS made (tenant text, run text, fence bigint, id text, step text, flow text, priority integer, proposal json,
       default_value json, schema json, reason text, context json, expires_at timestamptz, escalate_at timestamptz)
     JOIN held ON held.tenant_id = made.tenant AND held.id = made.run AND held.fence = made.fence
     ON CONFLICT (tenant_id, run_id, step) DO NOTHING
     RETURNING tenant_id, id, change, changed_at),
   told AS (SELECT ${tellOf('asked')} AS told FROM asked)`;

/**
 * Stores why released runs cannot go on. One that meets the same reason again at its next look keeps when that began.
 * @param at the number of the parameter with the delays, in JSON
 */
const keepDelays = (at: number): string => `,
   delayed AS (
     INSERT INTO run_delay (tenant_id, run_id, step, code, budget, event_id, message, ends_at, fence)
     SELECT held.tenant_id, held.id, made.step, made.code, made.budget, held.event_id, made.message, made.ends_at, held.fence
     FROM json_to_recordset($${at}::json) AS made (tenant text, run text, fence bigint, step text, code text, budget text, message text, ends_at timestamptz)
     JOIN held ON held.tenant_id = made.tenant AND held.id = made.run AND held.fence = made.fence
     ON CONFLICT (tenant_id, run_id, step, code, budget) DO UPDATE SET message = excluded.message, ends_at = excluded.ends_at, last_at = clock_timestamp(),
       fence = excluded.fence)`;

const resultOf = (more: string): string =>
  `SELECT tenant_id AS tenant, id, fence, finished_at AS "finishedAt", (SELECT added FROM planned) AS added${more} FROM held`;
const result = resultOf('');
/** A subquery that nothing selects from is not executed. */
const toldColumn = ', (SELECT told FROM told) AS told';
const resultWithReviews = resultOf(toldColumn);
const resultWithEndedReviews = resultOf(
  `${toldColumn}, (SELECT ${withdrawing('tenant_id', 'id')} FROM held WHERE finished_at IS NOT NULL) AS withdrawn`,
);

function withDelays(from: number): string {
  return keepOperations(from) + keepReviews(from + 1) + keepDelays(from + 2);
}

const stepsFrom = 2 + changeColumns.size;
const requestsFrom = stepsFrom + stepColumns.size;
const deliveriesFrom = requestsFrom + requestColumns.size;
const waitsFrom = deliveriesFrom + newDeliveryColumns.size;

/**
 * Writes the progress of many runs at once. A run whose claim is lost is not changed. A step that is stored already is an error, because the holder
 * of the claim read all of them when it took the claim, and nobody else may add any. A run that ends has its deliveries planned by the same
 * statement, so there is no decision without them.
 */
const writing = (name: string, more = '', selected = result): Statement =>
  statement(
    name,
    `WITH held AS (
     UPDATE run SET
       state = CASE WHEN change.state IN ('waiting', 'completed', 'failed') THEN change.state ELSE run.state END,
       lease_until = CASE WHEN change.state IS NULL THEN clock_timestamp() + $1 * interval '1 millisecond' END,
       finished_at = CASE WHEN change.state IN ('completed', 'failed') THEN clock_timestamp() END,
       unanswered = change.unanswered, failures = run.failures + change.failures,
       decision = change.decision, deliveries = change.deliveries, default_reason = change.default_reason, error_code = change.error_code, error_message = change.error_message
     FROM ${changeColumns.unnest('change', 2)}
     WHERE run.tenant_id = change.tenant_id AND run.id = change.id AND run.fence = change.fence AND run.state = 'running' AND run.lease_until IS NOT NULL
       AND NOT ${isLate('change', 'run.decide_by')}
     RETURNING run.tenant_id, run.id, run.fence, run.event_id, run.customer, run.finished_at),
   kept AS (${keepSteps(stepsFrom)}),
   waits AS (${keepWaits(waitsFrom)}),
   attempted AS (
     INSERT INTO model_attempt (${requestColumns.names})
     SELECT * FROM ${requestColumns.unnest('request', requestsFrom)}
     ON CONFLICT DO NOTHING),
   planned AS (${plan(deliveriesFrom)})${more}
   ${selected}`,
  );
const write = writing('run.progress');
const operationsAt = waitsFrom + waitColumns.size;
const writeOperations = writing('run.progressOperations', keepOperations(operationsAt));
const writeReviews = writing('run.progressReviews', keepOperations(operationsAt) + keepReviews(operationsAt + 1), resultWithEndedReviews);
const writeDelays = writing('run.progressDelays', withDelays(operationsAt), resultWithEndedReviews);

const firstStepsFrom = 2 + firstColumns.size;
const firstWaitsFrom = firstStepsFrom + stepColumns.size + newDeliveryColumns.size;

/**
 * Stores events' only runs together with their first progress: claimed with fence 1, finished, or released. Nothing is stored for an event that has runs
 * of its own already, or one of this flow that a command made. A run starts before Postgres sees it, but never after it ends by Postgres' clock.
 */
const beginning = (name: string, more = '', selected = result): Statement =>
  statement(
    name,
    `WITH held AS (
     INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, trace_id, started_at, state, lease_until, finished_at,
       unanswered, failures, decide_by, decision, deliveries, default_reason, error_code, error_message)
     SELECT tenant_id, id, event_id, customer, flow, flow_version, generation, trace_id, least(started_at, clock_timestamp()),
       CASE WHEN state IN ('waiting', 'completed', 'failed') THEN state ELSE 'running' END,
       CASE WHEN state IS NULL THEN clock_timestamp() + $1 * interval '1 millisecond' END,
       CASE WHEN state IN ('completed', 'failed') THEN clock_timestamp() END,
       unanswered, failures, decide_by, decision, deliveries, default_reason, error_code, error_message
     FROM (SELECT *, 0 AS generation FROM ${firstColumns.unnest('first', 2)}) AS first
     WHERE NOT ${isLate('first', 'first.decide_by')} AND NOT EXISTS (
       SELECT FROM run AS earlier WHERE earlier.tenant_id = first.tenant_id AND earlier.event_id = first.event_id
         AND (earlier.generation = 0 OR (earlier.flow = first.flow AND first.decide_by IS NULL)))
     ORDER BY ${lockOrder}
     ON CONFLICT (tenant_id, event_id, flow, generation) DO NOTHING
     RETURNING tenant_id, id, fence, event_id, customer, finished_at),
   kept AS (${keepSteps(firstStepsFrom)}),
   waits AS (${keepWaits(firstWaitsFrom)}),
   planned AS (${plan(firstStepsFrom + stepColumns.size)})${more}
   ${selected}`,
  );
const begin = beginning('run.begin');
const firstOperationsAt = firstWaitsFrom + waitColumns.size;
const beginOperations = beginning('run.beginOperations', keepOperations(firstOperationsAt));
const beginReviews = beginning(
  'run.beginReviews',
  keepOperations(firstOperationsAt) + keepReviews(firstOperationsAt + 1),
  resultWithReviews,
);
const beginDelays = beginning('run.beginDelays', withDelays(firstOperationsAt), resultWithReviews);

/** Writes `run`, `step_result` and `model_attempt` for the holders of claims, and plans the deliveries of runs that end. */
@Injectable()
export class RunProgressStore {
  constructor(private readonly database: Database) {}

  /** Returns the run after each write, in the same order; undefined if its claim is lost. No run may occur twice. */
  async write(progress: readonly RunProgress[], leaseMs: number): Promise<(Run | undefined)[]> {
    const sorted = progress.toSorted((a, b) => byIdentity(a.run, b.run));
    const rare = rareValues(sorted);
    const rows = await this.database.query<WrittenRow>([write, writeOperations, writeReviews, writeDelays][rare.length]!, [
      leaseMs,
      ...changeColumns.values(sorted),
      ...stepColumns.values(stepsOf(sorted)),
      ...requestColumns.values(sorted.flatMap(modelRequestsOf)),
      ...newDeliveryColumns.values(deliveriesOf(sorted)),
      ...waitColumns.values(waitsOf(sorted)),
      ...rare,
    ]);
    withdrawnReviews.inc({}, rows[0]?.withdrawn ?? 0);
    return runsAfter(progress, rows);
  }

  /** Stores the runs with their progress. Returns each run, in the same order; undefined if its event has runs already. */
  async begin(first: readonly FirstProgress[], leaseMs: number): Promise<(Run | undefined)[]> {
    const rare = rareValues(first);
    const rows = await this.database.query<WrittenRow>([begin, beginOperations, beginReviews, beginDelays][rare.length]!, [
      leaseMs,
      ...firstColumns.values(first),
      ...stepColumns.values(stepsOf(first)),
      ...newDeliveryColumns.values(deliveriesOf(first)),
      ...waitColumns.values(waitsOf(first)),
      ...rare,
    ]);
    return runsAfter(first, rows);
  }
}

interface WrittenRow {
  readonly tenant: string;
  readonly id: string;
  readonly fence: number;
  readonly finishedAt: Date | null;
  /** Reviews that the statement withdrew, the same in each row; absent from forms that withdraw none. */
  readonly withdrawn?: number;
}

type Progress = Omit<RunProgress, 'calls'>;

const keyOf = ({ tenant, id, fence }: { tenant: string; id: string; fence: number }): string => `${tenant}/${id}/${fence}`;

const stepsOf = (progress: readonly Progress[]) => progress.flatMap(({ run, steps }) => steps.map((step) => ({ run, step })));

const waitsOf = (progress: readonly Progress[]) =>
  progress.flatMap(({ run, end }) => (end?.state === 'waiting' ? end.waits.map((wait) => ({ run, wait })) : []));

/**
 * The values of what few runs have, up to the last of which there are any: operations, reviews, delays. Their number says which form of the statement takes
 * them. The form with reviews also withdraws those of runs that end.
 */
function rareValues(progress: readonly (Progress & Partial<Pick<RunProgress, 'calls'>>)[]): string[] {
  const rare = [operationsOf(progress), reviewsOf(progress), delaysOf(progress)];
  const forReviews = progress.some(endsWithReviews) ? 2 : 0;
  const needed = Math.max(forReviews, rare.findLastIndex((rows) => rows.length > 0) + 1);
  return rare.slice(0, needed).map((rows) => JSON.stringify(rows));
}

function endsWithReviews({ end, hasAsked = false }: Progress): boolean {
  return hasAsked && (end?.state === 'completed' || end?.state === 'failed');
}

/** The rows of `run_delay`. */
function delaysOf(progress: readonly Progress[]): Record<string, unknown>[] {
  return progress.flatMap(({ run, end }) => {
    if (end?.state !== 'released' || end.delay === undefined) return [];
    const { step = '-', code, message, budget = '-', endsAt } = end.delay;
    return [{ tenant: run.tenant, run: run.id, fence: run.fence, step, code, budget, message: storableText(message), ends_at: endsAt }];
  });
}

/** The rows of `review`. */
function reviewsOf(progress: readonly Progress[]): Record<string, unknown>[] {
  return progress.flatMap(({ run, end }) =>
    (end?.state === 'waiting' ? end.reviews : []).map(({ step, id, request }) => {
      const { proposal, schema, context, reason, priority, expiresAt, escalateAt, default: otherwise } = request;
      return {
        tenant: run.tenant,
        run: run.id,
        fence: run.fence,
        flow: run.flow,
        id,
        step,
        priority,
        proposal,
        default_value: otherwise,
        schema,
        reason: storableText(reason),
        context,
        expires_at: expiresAt,
        escalate_at: escalateAt,
      };
    }),
  );
}

const deliveriesOf = (progress: readonly Progress[]) =>
  progress.flatMap(({ end }) => (end?.state === 'completed' || end?.state === 'failed' ? (end.deliveries ?? []) : []));

function modelRequestsOf({ run, calls }: RunProgress): { run: RunningRun; step: string; request: ModelRequest }[] {
  return calls.flatMap(({ step, request }) => (request.kind === 'model' ? [{ run, step, request }] : []));
}

/** The rows of `operation_attempt`; an operation that begins has no outcome yet. */
function operationsOf(progress: readonly (Progress & Partial<Pick<RunProgress, 'calls'>>)[]): Record<string, unknown>[] {
  return progress.flatMap(({ run, begun = [], calls = [] }) => {
    const { tenant, id, fence, eventId } = run;
    const head = { tenant, run: id, fence, event: eventId };
    const ended = calls.flatMap(({ step, request }) => (request.kind === 'operation' ? [{ ...head, step, ...operationRow(request) }] : []));
    return [...begun.map(({ step, ...operation }) => ({ ...head, step, ...operationRow(operation) })), ...ended];
  });
}

function operationRow(made: (BegunOperation & { readonly number: number }) | OperationRequest): Record<string, unknown> {
  const { number, connection, operation, startedAt } = made;
  const begun = { number, connection, operation, started_at: startedAt };
  if (!('outcome' in made)) return begun;
  const { finishedAt, outcome, status, excerpt, errorCode, errorMessage } = made;
  return {
    ...begun,
    finished_at: finishedAt,
    outcome,
    status,
    excerpt: storableText(excerpt),
    code: errorCode,
    message: storableText(errorMessage),
  };
}

function runsAfter(progress: readonly Progress[], rows: readonly WrittenRow[]): (Run | undefined)[] {
  const written = new Map(rows.map((row) => [keyOf(row), row]));
  return progress.map(({ run, end }) => {
    const row = written.get(keyOf(run));
    return row === undefined ? undefined : after(run, end, row.finishedAt);
  });
}

/** Batches the progress of all runs that the process works on. */
export class RunProgressWriter {
  private readonly beginnings: BatchWriter<FirstProgress, Run | undefined>;
  private readonly writes: BatchWriter<RunProgress, Run | undefined>;

  /** @param leaseMs for how long each write extends the claim of its run */
  constructor(
    store: RunProgressStore,
    readonly leaseMs: number,
  ) {
    const batches = { maxBatch: 200, lingerMs: 2 };
    this.beginnings = new BatchWriter({ ...batches, write: (first) => store.begin(first, leaseMs) });
    this.writes = new BatchWriter({ ...batches, write: (progress) => store.write(progress, leaseMs) });
  }

  /** Stores the run with its first progress. Resolves with undefined if the event has runs already. */
  begin(first: FirstProgress): Promise<Run | undefined> {
    return this.beginnings.add(first);
  }

  /** Resolves with undefined if the claim of the run is lost. */
  write(progress: RunProgress): Promise<Run | undefined> {
    return this.writes.add(progress);
  }
}

function after(run: RunningRun, end: RunEnd | undefined, finishedAt: Date | null): Run {
  if (end?.state === 'waiting') return { ...run, state: 'waiting' };
  if (finishedAt === null || end === undefined || end.state === 'released') return run;
  if (end.state === 'failed') return { ...run, state: 'failed', errorCode: end.code, errorMessage: storableText(end.message), finishedAt };
  const { decision, defaultReason = null, unplanned = [] } = end;
  return { ...run, state: 'completed', decision, defaultReason, deliveries: [...unplanned], finishedAt };
}
