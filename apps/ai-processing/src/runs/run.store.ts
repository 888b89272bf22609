import { Injectable } from '@nestjs/common';
import type { Json, PlannedDelivery } from '#libs/contracts';
import { Database, columns, statement } from '#libs/persistence';

/** What a run is known by before anybody knows its id. */
export interface RunIdentity {
  readonly tenant: string;
  readonly eventId: string;
  readonly flow: string;
  readonly generation: number;
}

/** A run that is to be, before anybody claimed it. */
export interface PlannedRun extends RunIdentity {
  /** Counts only if this is the first claim: a run keeps the id it started with. */
  readonly id: string;
  readonly customer: string;
  /** Counts only if this is the first claim, too. */
  readonly flowVersion: number;
  /** The command that asked for it; null for the event's own run. */
  readonly commandId: string | null;
}

interface RunBase extends PlannedRun {
  readonly fence: number;
  /** Tries that used up the retry budget. */
  readonly failures: number;
  /** Questions that the claim before this one put to models, and whose answers it did not store. */
  readonly lostAnswers: number;
}

export type Run =
  | (RunBase & { readonly state: 'running'; /** Of the claim, wherever it is held; 0 where it ran out. */ readonly leaseLeftMs: number })
  | (RunBase & { readonly state: 'completed'; readonly decision: Json; readonly deliveries: PlannedDelivery[]; readonly finishedAt: Date })
  | (RunBase & { readonly state: 'failed'; readonly errorCode: string; readonly errorMessage: string; readonly finishedAt: Date });

export type RunningRun = Extract<Run, { state: 'running' }>;
export type FinishedRun = Exclude<Run, RunningRun>;

/** An event whose own runs are to start. */
export interface RunStart {
  readonly tenant: string;
  readonly eventId: string;
  /** Those of the flows that match now; passed over where the event has runs already. */
  readonly planned: readonly PlannedRun[];
  readonly traceId: string | null;
}

/** The runs of one event: those this process may work on now, and the others. */
export interface StartedRuns {
  readonly claimed: RunningRun[];
  /** Finished, or at work elsewhere. */
  readonly others: Run[];
}

const selectList = `tenant_id AS tenant, id, event_id AS "eventId", customer, flow, flow_version AS "flowVersion", generation, command_id AS "commandId",
  state, fence, failures, lost_answers AS "lostAnswers", decision, deliveries, error_code AS "errorCode", error_message AS "errorMessage", finished_at AS "finishedAt",
  greatest(0, ceil(extract(epoch FROM lease_until - clock_timestamp()) * 1000))::integer AS "leaseLeftMs"`;

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

const isFree = `(run.lease_until IS NULL OR run.lease_until < clock_timestamp())`;

/**
 * For a run that nobody finished or holds; of what the claim before it asked, the answers that are not stored by now never will be. Of those who
 * make it at the same moment all but one come here, and find the id of the other: no two of them bring the same id, which would end in an error
 * of the primary key instead.
 */
const claimIt = `ON CONFLICT (tenant_id, event_id, flow, generation) DO UPDATE
   SET fence = run.fence + 1, lease_until = EXCLUDED.lease_until, lost_answers = run.unanswered, unanswered = 0
   WHERE run.state = 'running' AND ${isFree} AND run.command_id IS NOT DISTINCT FROM EXCLUDED.command_id
   RETURNING ${selectList}`;

/**
 * In which all statements lock runs, those that are and those that are being made: so two processes with the same runs never wait for each other in a
 * circle. Their ids would not do, because each process brings its own for a run that is new. `byIdentity` is the same order.
 */
const lockOrder = `tenant_id COLLATE "C", event_id COLLATE "C", flow COLLATE "C", generation`;

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
});

/** As `run.claim`, for events' own runs: where an event has some, those and no others are claimed. The runs that it may not claim come along. */
const start = statement(
  'run.start',
  `WITH earlier AS (
     SELECT run.* FROM ${startingEventColumns.unnest('event', 2)} JOIN run USING (tenant_id, event_id)
     WHERE run.generation = 0),
   claimed AS (
     INSERT INTO run (${startingRunColumns.names}, generation, state, lease_until)
     SELECT ${startingRunColumns.names}, generation, 'running', clock_timestamp() + $1 * interval '1 millisecond'
     FROM (
       SELECT *, 0 AS generation FROM ${startingRunColumns.unnest('planned', 2 + startingEventColumns.size)}
       WHERE NOT EXISTS (SELECT FROM earlier WHERE earlier.tenant_id = planned.tenant_id AND earlier.event_id = planned.event_id)
       UNION ALL
       SELECT ${startingRunColumns.names}, generation FROM earlier AS run WHERE state = 'running' AND ${isFree}
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

/** Not after the claim was given back: a renewal that was under way then would hold the run for nobody. */
const renew = statement(
  'run.renew',
  `UPDATE run SET lease_until = clock_timestamp() + $1 * interval '1 millisecond'
   FROM ${claimColumns.unnest('held', 2)}
   WHERE run.tenant_id = held.tenant_id AND run.id = held.id AND run.fence = held.fence AND run.state = 'running' AND run.lease_until IS NOT NULL
   RETURNING run.tenant_id AS tenant, run.id, run.fence`,
);

/** The table `run`: who may work on what. */
@Injectable()
export class RunStore {
  constructor(private readonly database: Database) {}

  /** What events of several records ask for at once is one statement; each run goes to the first who asks. */
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

  /** The runs as they stand, whoever made them. One that is not there yet is left out of the answer. */
  stored(wanted: readonly RunIdentity[]): Promise<Run[]> {
    return this.database.query(stored, identityColumns.values(wanted));
  }

  /** The last generation of each flow that ever ran on the event. */
  async lastGenerations(tenant: string, eventId: string): Promise<Map<string, number>> {
    const rows = await this.database.query<{ flow: string; generation: number }>(lastGenerations, [tenant, eventId]);
    return new Map(rows.map(({ flow, generation }) => [flow, generation]));
  }

  /** Claims those that nobody has finished or holds, making those that are new. The others are left out of the answer. */
  claim(planned: readonly PlannedRun[], traceId: string | null, leaseMs: number): Promise<RunningRun[]> {
    return this.database.query(claim, [traceId, leaseMs, ...plannedColumns.values(planned)]);
  }

  /** For each, in their order: false where the claim is no longer ours. */
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

/** Takes the runs of an event out of `rows`' claimed ones: another record of the same event, in the same statement, finds them at work elsewhere. */
function takenBy({ tenant, eventId }: RunStart, rows: (Run & { isClaimed: boolean })[]): StartedRuns {
  const own = rows.filter((row) => row.tenant === tenant && row.eventId === eventId);
  const claimed = own.filter((row): row is RunningRun & { isClaimed: boolean } => row.isClaimed);
  const others = own.filter((row) => !row.isClaimed);
  for (const row of claimed) row.isClaimed = false;
  return { claimed, others };
}
