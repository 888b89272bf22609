import { Injectable } from '@nestjs/common';
import type { FailureCode, PlannedDelivery } from '#libs/contracts';
import { settling, settlingValues } from '#libs/decisions';
import type { AwaitedEvent } from '#libs/decisions';
import { newDeliveryColumns } from '#libs/deliveries';
import type { NewDelivery } from '#libs/deliveries';
import type { Json } from '#libs/json';
import { Database, columns, isFreeLease, longestLeaseMs, statement, storableText } from '#libs/persistence';
import { withdrawing, withdrawnReviews } from '../reviews/review.store.js';

/** The natural key of a run, known before its id. */
export interface RunIdentity {
  readonly tenant: string;
  readonly eventId: string;
  readonly flow: string;
  readonly generation: number;
}

/** A run before its first claim. */
export interface PlannedRun extends RunIdentity {
  /** Used only by the first claim; a run keeps its id. */
  readonly id: string;
  readonly customer: string;
  /** Used only by the first claim; a run keeps its version of the flow. */
  readonly flowVersion: number;
  /** The command that requested it; null for the event's own run. */
  readonly commandId: string | null;
  /** The time by which a caller needs the decision; undefined or null if nobody waits. Used only by the first claim. */
  readonly decideBy?: Date | null;
}

interface RunBase extends PlannedRun {
  readonly fence: number;
  /** Tries that used up the retry budget. */
  readonly failures: number;
  /** Number of calls that the previous claim noted and whose results it did not store. */
  readonly lostAnswers: number;
}

/** `deliveries`: those that are still to be planned. `defaultReason`: null if the flow decided. */
export type Run =
  | (RunBase & { readonly state: 'running'; /** Of the claim, wherever it is held; 0 where it ran out. */ readonly leaseLeftMs: number })
  | (RunBase & { readonly state: 'waiting' })
  | (RunBase & {
      readonly state: 'completed';
      readonly decision: Json;
      readonly defaultReason: string | null;
      readonly deliveries: PlannedDelivery[];
      readonly finishedAt: Date;
    })
  | (RunBase & { readonly state: 'failed'; readonly errorCode: string; readonly errorMessage: string; readonly finishedAt: Date });

export type RunningRun = Extract<Run, { state: 'running' }>;
/** Its work has ended until one of its waits is over. */
export type WaitingRun = Extract<Run, { state: 'waiting' }>;
export type FinishedRun = Exclude<Run, RunningRun | WaitingRun>;

/** A person ended the run: nobody has to look after it. */
export function isCancelled(run: FinishedRun): boolean {
  return run.state === 'failed' && run.errorCode === ('run.cancelled' satisfies FailureCode);
}

/** An event whose own runs are to start. */
export interface RunStart {
  readonly tenant: string;
  readonly eventId: string;
  /** Runs of the flows that match now. They are ignored if the event already has runs. */
  readonly planned: readonly PlannedRun[];
  readonly traceId: string | null;
}

/** The runs of one event, divided by whether this process has claimed them. */
export interface StartedRuns {
  readonly claimed: RunningRun[];
  /** Finished, or claimed by another process. */
  readonly others: Run[];
}

const selectList = `tenant_id AS tenant, id, event_id AS "eventId", customer, flow, flow_version AS "flowVersion", generation, command_id AS "commandId",
  decide_by AS "decideBy", default_reason AS "defaultReason", state, fence, failures, lost_answers AS "lostAnswers", decision, deliveries, error_code AS "errorCode", error_message AS "errorMessage", finished_at AS "finishedAt",
  greatest(0, least(${longestLeaseMs}, ceil(extract(epoch FROM lease_until - clock_timestamp()) * 1000)))::integer AS "leaseLeftMs"`;

const ofCommand = statement('run.ofCommand', `SELECT ${selectList} FROM run WHERE tenant_id = $1 AND command_id = $2 AND event_id = $3`);

const identityColumns = columns<RunIdentity>({
  tenant_id: ['text', (run) => run.tenant],
  event_id: ['text', (run) => run.eventId],
  flow: ['text', (run) => run.flow],
  generation: ['integer', (run) => run.generation],
});
const stored = statement(
  'run.stored',
  `SELECT ${selectList} FROM ${identityColumns.unnest('wanted')} JOIN run USING (${identityColumns.names})`,
);
const lastGenerations = statement(
  'run.lastGenerations',
  `SELECT flow, max(generation) AS generation FROM run WHERE tenant_id = $1 AND event_id = $2 GROUP BY flow`,
);

const isFree = isFreeLease('run.lease_until');

/**
 * Claims an existing run that is neither finished nor held. Results of the previous claim's calls that are not stored by now are lost. If several
 * processes make a run at the same moment, all but one take this branch and get the id of the one that succeeded. Their own ids differ; equal ids would
 * violate the primary key.
 */
const claimIt = `ON CONFLICT (tenant_id, event_id, flow, generation) DO UPDATE
   SET fence = run.fence + 1, lease_until = EXCLUDED.lease_until, lost_answers = run.unanswered, unanswered = 0
   WHERE run.state = 'running' AND ${isFree} AND run.command_id IS NOT DISTINCT FROM EXCLUDED.command_id
   RETURNING ${selectList}`;

/**
 * All statements lock existing and new runs in this order, so two processes with the same runs cannot deadlock. The order of ids would not do, because
 * each process has its own id for a new run. `byIdentity` is the same order.
 */
export const lockOrder = `tenant_id COLLATE "C", event_id COLLATE "C", flow COLLATE "C", generation`;

const plannedColumns = columns<PlannedRun>({
  tenant_id: ['text', (run) => run.tenant],
  id: ['text', (run) => run.id],
  event_id: ['text', (run) => run.eventId],
  customer: ['text', (run) => run.customer],
  flow: ['text', (run) => run.flow],
  flow_version: ['integer', (run) => run.flowVersion],
  generation: ['integer', (run) => run.generation],
  command_id: ['text', (run) => run.commandId],
});

const claim = statement(
  'run.claim',
  `INSERT INTO run (${plannedColumns.names}, state, trace_id, lease_until)
   SELECT *, 'running', $1::text, clock_timestamp() + $2 * interval '1 millisecond'
   FROM ${plannedColumns.unnest('planned', 3)}
   ORDER BY ${lockOrder}
   ${claimIt}`,
);

/**
 * The next generation of a run that was given up, for whoever retries its dead letter: only while that is open, and no run has taken its place. The lock on
 * the dead letter puts a skip before or after this statement. Of two retries at the same moment one makes the generation, by its key.
 */
const claimRetry = statement(
  'run.claimRetry',
  `WITH letter AS (
     SELECT letter.tenant_id, letter.id, given_up.event_id, given_up.flow
     FROM dead_letter AS letter JOIN run AS given_up ON given_up.tenant_id = letter.tenant_id AND given_up.id = letter.run_id
     WHERE letter.tenant_id = $3 AND letter.id = $4 AND letter.kind = 'run' AND letter.resolved_at IS NULL
       AND run_in_place_of(given_up.tenant_id, given_up.event_id, given_up.flow, given_up.generation) IS NULL
     FOR SHARE OF letter)
   INSERT INTO run (${plannedColumns.names}, dead_letter_id, state, trace_id, lease_until)
   SELECT planned.*, letter.id, 'running', $1::text, clock_timestamp() + $2 * interval '1 millisecond'
   FROM letter JOIN ${plannedColumns.unnest('planned', 5)} USING (tenant_id, event_id, flow)
   ${claimIt}`,
);

const startingEventColumns = columns<Pick<RunIdentity, 'tenant' | 'eventId'>>({
  tenant_id: ['text', (event) => event.tenant],
  event_id: ['text', (event) => event.eventId],
});
const startingRunColumns = columns<PlannedRun & { readonly traceId: string | null }>({
  tenant_id: ['text', (run) => run.tenant],
  id: ['text', (run) => run.id],
  event_id: ['text', (run) => run.eventId],
  customer: ['text', (run) => run.customer],
  flow: ['text', (run) => run.flow],
  flow_version: ['integer', (run) => run.flowVersion],
  trace_id: ['text', (run) => run.traceId],
  decide_by: ['timestamptz', (run) => run.decideBy],
});

/**
 * Claims events' own runs. If an event has such runs already, only those are claimed. A flow that a command has run on the event before them is not run again,
 * so that the event acts once; but a caller who waits has a run of his own. Also returns the runs that may not be claimed: own ones, and the last that a
 * command made of each planned flow.
 */
const start = statement(
  'run.start',
  `WITH planned AS (SELECT *, 0 AS generation FROM ${startingRunColumns.unnest('planned', 2 + startingEventColumns.size)}),
   own AS (
     SELECT run.* FROM ${startingEventColumns.unnest('event', 2)} JOIN run USING (tenant_id, event_id) WHERE run.generation = 0),
   before AS (
     SELECT DISTINCT ON (tenant_id, event_id, flow) run.* FROM planned JOIN run USING (tenant_id, event_id, flow)
     WHERE run.command_id IS NOT NULL AND planned.decide_by IS NULL
       AND NOT EXISTS (SELECT FROM own WHERE own.tenant_id = planned.tenant_id AND own.event_id = planned.event_id AND own.flow = planned.flow)
     ORDER BY tenant_id, event_id, flow, run.generation DESC),
   earlier AS (SELECT * FROM own UNION ALL SELECT * FROM before),
   claimed AS (
     INSERT INTO run (${startingRunColumns.names}, generation, state, lease_until)
     SELECT ${startingRunColumns.names}, generation, 'running', clock_timestamp() + $1 * interval '1 millisecond'
     FROM (
       SELECT * FROM planned
       WHERE NOT EXISTS (SELECT FROM own WHERE own.tenant_id = planned.tenant_id AND own.event_id = planned.event_id)
         AND NOT EXISTS (SELECT FROM before
           WHERE before.tenant_id = planned.tenant_id AND before.event_id = planned.event_id AND before.flow = planned.flow)
       UNION ALL
       SELECT ${startingRunColumns.names}, generation FROM own AS run WHERE state = 'running' AND ${isFree}
     ) AS wanted
     ORDER BY ${lockOrder}
     ${claimIt})
   SELECT claimed.*, true AS "isClaimed" FROM claimed
   UNION ALL
   SELECT ${selectList}, false FROM earlier
   WHERE NOT EXISTS (SELECT FROM claimed WHERE claimed.tenant = earlier.tenant_id AND claimed.id = earlier.id)`,
);

const claimColumns = columns<Pick<RunningRun, 'tenant' | 'id' | 'fence'>>({
  tenant_id: ['text', (run) => run.tenant],
  id: ['text', (run) => run.id],
  fence: ['bigint', (run) => run.fence],
});

/**
 * Claims a run of which a wait is over, or whose claim ran out while it went on from one. A run that waits for something else is not claimed.
 */
const resume = statement(
  'run.resume',
  `WITH resumed AS (
     UPDATE run SET state = 'running', fence = fence + 1, lease_until = clock_timestamp() + $3 * interval '1 millisecond', lost_answers = unanswered,
       unanswered = 0
     WHERE tenant_id = $1 AND id = $2 AND ${isFree} AND (state = 'running' OR state = 'waiting' AND EXISTS (
       SELECT FROM run_wait WHERE run_wait.tenant_id = run.tenant_id AND run_wait.run_id = run.id AND run_wait.state = 'over'))
     RETURNING *),
   taken AS (
     UPDATE run_wait SET state = 'taken' FROM resumed
     WHERE run_wait.tenant_id = resumed.tenant_id AND run_wait.run_id = resumed.id AND run_wait.state = 'over')
   SELECT ${selectList} FROM resumed`,
);
/** A claim that ran out, but is still at work, cannot end the run any more. The deliveries are planned with the end, so there is none without them. */
const cancel = statement(
  'run.cancel',
  `WITH cancelled AS (
     UPDATE run SET state = 'failed', fence = fence + 1, lease_until = NULL, unanswered = 0, finished_at = clock_timestamp(),
       error_code = 'run.cancelled', error_message = $3
     WHERE tenant_id = $1 AND id = $2 AND state IN ('running', 'waiting') AND ${isFree}
     RETURNING *),
   waits AS (
     UPDATE run_wait SET state = 'taken', over_at = coalesce(over_at, clock_timestamp()) FROM cancelled
     WHERE run_wait.tenant_id = cancelled.tenant_id AND run_wait.run_id = cancelled.id AND run_wait.state <> 'taken'),
   planned AS (SELECT plan_deliveries(${newDeliveryColumns.parameters(4)}) AS added FROM cancelled)
   SELECT ${selectList}, (SELECT ${withdrawing('tenant_id', 'id')} FROM cancelled) AS withdrawn, (SELECT added FROM planned) AS added FROM cancelled`,
);
const dropWaits = statement(
  'run.dropWaits',
  `UPDATE run_wait SET state = 'taken', over_at = coalesce(over_at, clock_timestamp()) WHERE tenant_id = $1 AND run_id = $2 AND state <> 'taken'`,
);
/** Stores the default decision unless the run has ended. Returns the run as it is stored. */
const settle = statement('run.settle', settling(selectList));
const byId = statement('run.byId', `SELECT ${selectList} FROM run WHERE tenant_id = $1 AND id = $2`);

/** Ignores claims that were released: a late renewal would otherwise hold a run that nobody works on. */
const renew = statement(
  'run.renew',
  `UPDATE run SET lease_until = clock_timestamp() + $1 * interval '1 millisecond'
   FROM ${claimColumns.unnest('held', 2)}
   WHERE run.tenant_id = held.tenant_id AND run.id = held.id AND run.fence = held.fence AND run.state = 'running' AND run.lease_until IS NOT NULL
   RETURNING run.tenant_id AS tenant, run.id, run.fence`,
);

/** The table `run`: plans, claims and leases of runs. */
@Injectable()
export class RunStore {
  constructor(private readonly database: Database) {}

  /** Starts the runs of several events in one statement. A run that occurs several times is claimed for the first of them. */
  async start(starts: readonly RunStart[], leaseMs: number): Promise<StartedRuns[]> {
    const events = distinct(starts, ({ tenant, eventId }) => `${tenant}/${eventId}`);
    const planned = distinct(
      starts.flatMap((one) => one.planned.map((run) => ({ ...run, traceId: one.traceId }))),
      identityOf,
    );
    const values = [leaseMs, ...startingEventColumns.values(events), ...startingRunColumns.values(planned)];
    const rows = await this.database.query<Run & { isClaimed: boolean }>(start, values);
    return starts.map((one) => takenBy(one, rows));
  }

  ofCommand(tenant: string, commandId: string, eventId: string): Promise<Run[]> {
    return this.database.query(ofCommand, [tenant, commandId, eventId]);
  }

  /** Returns the stored runs. Runs that do not exist yet are left out. */
  stored(wanted: readonly RunIdentity[]): Promise<Run[]> {
    return this.database.query(stored, identityColumns.values(wanted));
  }

  /** Returns the last generation by name, for each flow that ever ran on the event. */
  async lastGenerations(tenant: string, eventId: string): Promise<Map<string, number>> {
    const rows = await this.database.query<{ flow: string; generation: number }>(lastGenerations, [tenant, eventId]);
    return new Map(rows.map(({ flow, generation }) => [flow, generation]));
  }

  /** Claims the runs that are neither finished nor held, and creates those that are new. Returns the claimed ones. */
  claim(planned: readonly PlannedRun[], traceId: string | null, leaseMs: number): Promise<RunningRun[]> {
    return this.database.query(claim, [traceId, leaseMs, ...plannedColumns.values(planned)]);
  }

  /**
   * Makes and claims the next generation of a run that was given up. Undefined if another command made that generation since {@link lastGenerations}, the
   * dead letter is resolved, or a run has taken the place of the one that was given up.
   */
  async claimRetry(planned: PlannedRun, deadLetterId: string, traceId: string | null, leaseMs: number): Promise<RunningRun | undefined> {
    const values = [traceId, leaseMs, planned.tenant, deadLetterId, ...plannedColumns.values([planned])];
    const [run] = await this.database.query<RunningRun>(claimRetry, values);
    return run;
  }

  /** Claims a run that can go on after a wait. Undefined if it cannot: {@link byId} says why. */
  async resume(tenant: string, runId: string, leaseMs: number): Promise<RunningRun | undefined> {
    const [run] = await this.database.query<RunningRun>(resume, [tenant, runId, leaseMs]);
    return run;
  }

  /** Ends a run that nobody works on. Undefined if it has ended, or is held: {@link byId} says which. */
  async cancel({ tenant, id }: Run, message: string, deliveries: readonly NewDelivery[]): Promise<FinishedRun | undefined> {
    const [row] = await this.database.query<FinishedRun & { readonly withdrawn: number }>(cancel, [
      tenant,
      id,
      storableText(message),
      ...newDeliveryColumns.values(deliveries),
    ]);
    if (row === undefined) return undefined;
    const { withdrawn, ...run } = row;
    withdrawnReviews.inc({}, withdrawn);
    return run;
  }

  /** Stores the default decision of a run, unless it has ended, or has no deadline or a later one. Returns the run as it is stored then. */
  async settle(event: AwaitedEvent, reason: string, traceparent: string | undefined, decideBy?: Date): Promise<Run> {
    const [run] = await this.database.query<Run>(settle, settlingValues(event, reason, traceparent, decideBy));
    return run!;
  }

  /** Drops what is left of the waits of a run that has ended without them. */
  async dropWaits(tenant: string, runId: string): Promise<void> {
    await this.database.query(dropWaits, [tenant, runId]);
  }

  async byId(tenant: string, runId: string): Promise<Run | undefined> {
    const [run] = await this.database.query<Run>(byId, [tenant, runId]);
    return run;
  }

  /** Returns for each run, in the same order, whether the claim was renewed. False: it is lost. */
  async renew(runs: readonly RunningRun[], leaseMs: number): Promise<boolean[]> {
    const values = [leaseMs, ...claimColumns.values(runs.toSorted(byIdentity))];
    const rows = await this.database.query<{ tenant: string; id: string; fence: number }>(renew, values);
    const renewed = new Set(rows.map(claimKeyOf));
    return runs.map((run) => renewed.has(claimKeyOf(run)));
  }
}

const claimKeyOf = ({ tenant, id, fence }: { tenant: string; id: string; fence: number }): string => `${tenant}/${id}/${fence}`;

const identityOf = ({ tenant, eventId, flow, generation }: RunIdentity): string => `${tenant}/${eventId}/${flow}/${generation}`;

export function isSameRun(a: RunIdentity, b: RunIdentity): boolean {
  return byIdentity(a, b) === 0;
}

/** The order in which all statements lock runs. */
export function byIdentity(a: RunIdentity, b: RunIdentity): number {
  return compare(a.tenant, b.tenant) || compare(a.eventId, b.eventId) || compare(a.flow, b.flow) || a.generation - b.generation;
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function distinct<T>(values: readonly T[], key: (value: T) => string): T[] {
  return [...new Map(values.toReversed().map((value) => [key(value), value])).values()];
}

/** Returns the runs of an event. Takes the claimed ones from `rows`, so another record of the same event in the same batch finds them held. */
function takenBy({ tenant, eventId }: RunStart, rows: (Run & { isClaimed: boolean })[]): StartedRuns {
  const own = rows.filter((row) => row.tenant === tenant && row.eventId === eventId);
  const claimed = own.filter((row): row is RunningRun & { isClaimed: boolean } => row.isClaimed);
  const others = own.filter((row) => !row.isClaimed);
  for (const row of claimed) row.isClaimed = false;
  return { claimed, others };
}
