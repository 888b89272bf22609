import { Injectable } from '@nestjs/common';
import type { Json, PlannedDelivery } from '#libs/contracts';
import { Database, statement } from '#libs/persistence';

/** A run that is to be, before anybody claimed it. */
export interface PlannedRun {
  readonly tenant: string;
  readonly id: string;
  readonly eventId: string;
  readonly customer: string;
  readonly flow: string;
  /** Counts only if this is the first claim: a run keeps the version it started with. */
  readonly flowVersion: number;
  readonly generation: number;
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

const columns = `tenant_id AS tenant, id, event_id AS "eventId", customer, flow, flow_version AS "flowVersion", generation, command_id AS "commandId",
  state, fence, failures, lost_answers AS "lostAnswers", decision, deliveries, error_code AS "errorCode", error_message AS "errorMessage", finished_at AS "finishedAt",
  greatest(0, ceil(extract(epoch FROM lease_until - clock_timestamp()) * 1000))::integer AS "leaseLeftMs"`;

const ofCommand = statement('run.ofCommand', `SELECT ${columns} FROM run WHERE tenant_id = $1 AND command_id = $2 AND event_id = $3`);
const byIds = statement('run.ofIds', `SELECT ${columns} FROM run WHERE tenant_id = $1 AND id = ANY ($2)`);
const lastGenerations = statement(
  'run.lastGenerations',
  `SELECT flow, max(generation) AS generation FROM run WHERE tenant_id = $1 AND event_id = $2 GROUP BY flow`,
);

const isFree = `(run.lease_until IS NULL OR run.lease_until < clock_timestamp())`;

/** For a run that nobody finished or holds; of what the claim before it asked, the answers that are not stored by now never will be. */
const claimIt = `ON CONFLICT (tenant_id, id) DO UPDATE
   SET fence = run.fence + 1, lease_until = EXCLUDED.lease_until, lost_answers = run.unanswered, unanswered = 0
   WHERE run.state = 'running' AND ${isFree} AND run.command_id IS NOT DISTINCT FROM EXCLUDED.command_id
   RETURNING ${columns}`;

/** Sorted, so that two processes with the same runs never wait for each other in a circle. */
const claim = statement(
  'run.claim',
  `INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, command_id, state, trace_id, lease_until)
   SELECT *, 'running', $9::text, clock_timestamp() + $10 * interval '1 millisecond'
   FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::integer[], $8::text[]) AS planned
   ORDER BY 1, 2
   ${claimIt}`,
);

/** As `run.claim`, for events' own runs: where an event has some, those and no others are claimed. The runs that it may not claim come along. */
const start = statement(
  'run.start',
  `WITH earlier AS (
     SELECT run.* FROM unnest($1::text[], $2::text[]) AS event (tenant_id, event_id) JOIN run USING (tenant_id, event_id)
     WHERE run.generation = 0),
   claimed AS (
     INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, state, trace_id, lease_until)
     SELECT tenant_id, id, event_id, customer, flow, flow_version, 0, 'running', trace_id, clock_timestamp() + $10 * interval '1 millisecond'
     FROM (
       SELECT * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[], $9::text[])
         AS planned (tenant_id, id, event_id, customer, flow, flow_version, trace_id)
       WHERE NOT EXISTS (SELECT FROM earlier WHERE earlier.tenant_id = planned.tenant_id AND earlier.event_id = planned.event_id)
       UNION ALL
       SELECT tenant_id, id, event_id, customer, flow, flow_version, trace_id FROM earlier AS run WHERE state = 'running' AND ${isFree}
     ) AS wanted
     ORDER BY tenant_id, id
     ${claimIt})
   SELECT claimed.*, true AS "isClaimed" FROM claimed
   UNION ALL
   SELECT ${columns}, false FROM earlier
   WHERE NOT EXISTS (SELECT FROM claimed WHERE claimed.tenant = earlier.tenant_id AND claimed.id = earlier.id)`,
);

/** Not after the claim was given back: a renewal that was under way then would hold the run for nobody. */
const renew = statement(
  'run.renew',
  `UPDATE run SET lease_until = clock_timestamp() + $4 * interval '1 millisecond'
   FROM unnest($1::text[], $2::text[], $3::bigint[]) AS held (tenant_id, id, fence)
   WHERE run.tenant_id = held.tenant_id AND run.id = held.id AND run.fence = held.fence AND run.state = 'running' AND run.lease_until IS NOT NULL
   RETURNING run.tenant_id AS tenant, run.id, run.fence`,
);

/** The table `run`: who may work on what. */
@Injectable()
export class RunTable {
  constructor(private readonly database: Database) {}

  /** What events of several records ask for at once is one statement; each run goes to the first who asks. */
  async start(starts: readonly RunStart[], leaseMs: number): Promise<StartedRuns[]> {
    const events = distinct(starts, ({ tenant, eventId }) => `${tenant}/${eventId}`);
    const planned = distinct(
      starts.flatMap((one) => one.planned.map((run) => ({ ...run, traceId: one.traceId }))),
      keyOf,
    );
    const column = <T>(value: (run: PlannedRun & { traceId: string | null }) => T): T[] => planned.map(value);
    const rows = await this.database.query<Run & { isClaimed: boolean }>(start, [
      events.map(({ tenant }) => tenant),
      events.map(({ eventId }) => eventId),
      column((run) => run.tenant),
      column((run) => run.id),
      column((run) => run.eventId),
      column((run) => run.customer),
      column((run) => run.flow),
      column((run) => run.flowVersion),
      column((run) => run.traceId),
      leaseMs,
    ]);
    return starts.map((one) => takenBy(one, rows));
  }

  ofCommand(tenant: string, commandId: string, eventId: string): Promise<Run[]> {
    return this.database.query(ofCommand, [tenant, commandId, eventId]);
  }

  byIds(tenant: string, ids: readonly string[]): Promise<Run[]> {
    return this.database.query(byIds, [tenant, ids]);
  }

  /** The last generation of each flow that ever ran on the event. */
  async lastGenerations(tenant: string, eventId: string): Promise<Map<string, number>> {
    const rows = await this.database.query<{ flow: string; generation: number }>(lastGenerations, [tenant, eventId]);
    return new Map(rows.map(({ flow, generation }) => [flow, generation]));
  }

  /** Claims those that nobody has finished or holds, making those that are new. The others are left out of the answer. */
  claim(planned: readonly PlannedRun[], traceId: string | null, leaseMs: number): Promise<RunningRun[]> {
    const column = <T>(value: (run: PlannedRun) => T): T[] => planned.map(value);
    return this.database.query(claim, [
      column((run) => run.tenant),
      column((run) => run.id),
      column((run) => run.eventId),
      column((run) => run.customer),
      column((run) => run.flow),
      column((run) => run.flowVersion),
      column((run) => run.generation),
      column((run) => run.commandId),
      traceId,
      leaseMs,
    ]);
  }

  /** For each, in their order: false where the claim is no longer ours. */
  async renew(runs: readonly RunningRun[], leaseMs: number): Promise<boolean[]> {
    const rows = await this.database.query<{ tenant: string; id: string; fence: number }>(renew, [
      runs.map(({ tenant }) => tenant),
      runs.map(({ id }) => id),
      runs.map(({ fence }) => fence),
      leaseMs,
    ]);
    const renewed = new Set(rows.map(claimKeyOf));
    return runs.map((run) => renewed.has(claimKeyOf(run)));
  }
}

const keyOf = ({ tenant, id }: { tenant: string; id: string }): string => `${tenant}/${id}`;
const claimKeyOf = (run: { tenant: string; id: string; fence: number }): string => `${keyOf(run)}/${run.fence}`;

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
