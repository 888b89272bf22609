import { Injectable } from '@nestjs/common';
import type { Json, PlannedDelivery } from '#libs/contracts';
import { Database, statement, storableText } from '#libs/persistence';

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
}

export type Run =
  | (RunBase & { readonly state: 'running'; /** Of the claim, wherever it is held; 0 where it ran out. */ readonly leaseLeftMs: number })
  | (RunBase & { readonly state: 'completed'; readonly decision: Json; readonly deliveries: PlannedDelivery[]; readonly finishedAt: Date })
  | (RunBase & { readonly state: 'failed'; readonly errorCode: string; readonly errorMessage: string; readonly finishedAt: Date });

export type RunningRun = Extract<Run, { state: 'running' }>;
export type FinishedRun = Exclude<Run, RunningRun>;

const columns = `tenant_id AS tenant, id, event_id AS "eventId", customer, flow, flow_version AS "flowVersion", generation, command_id AS "commandId",
  state, fence, failures, decision, deliveries, error_code AS "errorCode", error_message AS "errorMessage", finished_at AS "finishedAt",
  greatest(0, ceil(extract(epoch FROM lease_until - clock_timestamp()) * 1000))::integer AS "leaseLeftMs"`;

const ofGeneration = statement('run.ofGeneration', `SELECT ${columns} FROM run WHERE tenant_id = $1 AND event_id = $2 AND generation = $3`);
const ofCommand = statement('run.ofCommand', `SELECT ${columns} FROM run WHERE tenant_id = $1 AND command_id = $2 AND event_id = $3`);
const byIds = statement('run.ofIds', `SELECT ${columns} FROM run WHERE tenant_id = $1 AND id = ANY ($2)`);
const lastGenerations = statement(
  'run.lastGenerations',
  `SELECT flow, max(generation) AS generation FROM run WHERE tenant_id = $1 AND event_id = $2 GROUP BY flow`,
);

/** Sorted, so that two processes with the same runs never wait for each other in a circle. */
const claim = statement(
  'run.claim',
  `INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, command_id, state, trace_id, lease_until)
   SELECT *, 'running', $9::text, clock_timestamp() + $10 * interval '1 millisecond'
   FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::integer[], $8::text[]) AS planned
   ORDER BY 1, 2
   ON CONFLICT (tenant_id, id) DO UPDATE SET fence = run.fence + 1, lease_until = EXCLUDED.lease_until
   WHERE run.state = 'running' AND (run.lease_until IS NULL OR run.lease_until < clock_timestamp())
     AND run.command_id IS NOT DISTINCT FROM EXCLUDED.command_id
   RETURNING ${columns}`,
);

const mine = `tenant_id = $1 AND id = $2 AND fence = $3 AND state = 'running'`;
/** Not after the claim was given back: a renewal that was under way then would hold the run for nobody. */
const renew = statement(
  'run.renew',
  `UPDATE run SET lease_until = clock_timestamp() + $4 * interval '1 millisecond' WHERE ${mine} AND lease_until IS NOT NULL RETURNING id`,
);
const release = statement('run.release', `UPDATE run SET lease_until = NULL, failures = failures + $4 WHERE ${mine}`);
const complete = statement(
  'run.complete',
  `UPDATE run SET state = 'completed', decision = $4, deliveries = $5, lease_until = NULL, finished_at = clock_timestamp()
   WHERE ${mine} RETURNING ${columns}`,
);
const fail = statement(
  'run.fail',
  `UPDATE run SET state = 'failed', error_code = $4, error_message = $5, lease_until = NULL, finished_at = clock_timestamp()
   WHERE ${mine} RETURNING ${columns}`,
);

/** The table `run`: who may work on what, and what came of it. */
@Injectable()
export class RunTable {
  constructor(private readonly database: Database) {}

  ofGeneration(tenant: string, eventId: string, generation: number): Promise<Run[]> {
    return this.database.query(ofGeneration, [tenant, eventId, generation]);
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

  /** False where the claim is no longer ours. */
  async renew(run: RunningRun, leaseMs: number): Promise<boolean> {
    const rows = await this.database.query(renew, [run.tenant, run.id, run.fence, leaseMs]);
    return rows.length > 0;
  }

  /** Gives the claim back, for whoever comes next. */
  async release(run: RunningRun, failure: 'counts' | 'does-not-count'): Promise<void> {
    await this.database.query(release, [run.tenant, run.id, run.fence, failure === 'counts' ? 1 : 0]);
  }

  /** Undefined where the claim is no longer ours; nothing was changed then. */
  async complete(run: RunningRun, decision: Json, deliveries: readonly PlannedDelivery[]): Promise<FinishedRun | undefined> {
    const values = [run.tenant, run.id, run.fence, JSON.stringify(decision), JSON.stringify(deliveries)];
    const [finished] = await this.database.query<FinishedRun>(complete, values);
    return finished;
  }

  /** Undefined where the claim is no longer ours; nothing was changed then. */
  async fail(run: RunningRun, code: string, message: string): Promise<FinishedRun | undefined> {
    const values = [run.tenant, run.id, run.fence, code, storableText(message)];
    const [finished] = await this.database.query<FinishedRun>(fail, values);
    return finished;
  }
}
