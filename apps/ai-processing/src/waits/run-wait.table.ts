import { Injectable } from '@nestjs/common';
import type { WaitEnd } from '#libs/flows';
import { Database, statement } from '#libs/persistence';

/** A wait that is over, and whose run is to be told. */
export interface EndedWait {
  readonly tenant: string;
  readonly runId: string;
  readonly step: string;
  readonly eventId: string;
  readonly customer: string;
  readonly traceparent: string | null;
  readonly dueAt: Date;
}

/** The waits of one tenant that are not over. */
export interface WaitBacklog {
  readonly tenant: string;
  readonly waits: number;
  readonly oldestDueAt: Date;
}

const endedFields = `run_wait.tenant_id AS tenant, run_wait.run_id AS "runId", run_wait.step, run_wait.event_id AS "eventId", run_wait.customer,
  run_wait.traceparent, run_wait.due_at AS "dueAt"`;
/** The first end of a wait is final. Waits that end wait to be told, so `told_at` begins at once: a process that ends now leaves them for later. */
const endDue = statement(
  'runWait.endDue',
  `UPDATE run_wait SET state = 'over', reason = 'elapsed', over_at = clock_timestamp(), told_at = clock_timestamp()
   FROM (SELECT tenant_id, run_id, step FROM run_wait WHERE state = 'pending' AND due_at <= clock_timestamp()
     ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
   WHERE run_wait.tenant_id = due.tenant_id AND run_wait.run_id = due.run_id AND run_wait.step = due.step
   RETURNING ${endedFields}`,
);
/** A run that has not gone on although it was told: the process that was to tell it ended, or the log lost the record. A run at work goes on by itself. */
const untold = statement(
  'runWait.untold',
  `UPDATE run_wait SET told_at = clock_timestamp()
   FROM (SELECT ended.tenant_id, ended.run_id, ended.step FROM run_wait AS ended
     JOIN run ON run.tenant_id = ended.tenant_id AND run.id = ended.run_id AND run.state = 'waiting'
     WHERE ended.state = 'over' AND ended.told_at < clock_timestamp() - $2 * interval '1 millisecond'
     ORDER BY ended.told_at LIMIT $1 FOR UPDATE OF ended SKIP LOCKED) AS forgotten
   WHERE run_wait.tenant_id = forgotten.tenant_id AND run_wait.run_id = forgotten.run_id AND run_wait.step = forgotten.step
   RETURNING ${endedFields}`,
);
const ofRun = statement(
  'runWait.ofRun',
  `SELECT step, reason, over_at AS "overAt" FROM run_wait WHERE tenant_id = $1 AND run_id = $2 AND state <> 'pending'`,
);
const backlog = statement(
  'runWait.backlog',
  `SELECT tenant_id AS tenant, count(*)::float8 AS waits, min(due_at) AS "oldestDueAt" FROM run_wait WHERE state = 'pending' GROUP BY tenant_id`,
);
/** The table `run_wait`. Waits are stored with the progress of their runs. */
@Injectable()
export class RunWaitTable {
  constructor(private readonly database: Database) {}

  /** Ends waits whose time has come. Of several processes, one gets each. */
  endDue(limit: number): Promise<EndedWait[]> {
    return this.database.query<EndedWait>(endDue, [limit]);
  }

  /** The ended waits whose runs were told longer ago than this, and do not go on. */
  untold(limit: number, toldBeforeMs: number): Promise<EndedWait[]> {
    return this.database.query<EndedWait>(untold, [limit, toldBeforeMs]);
  }

  /** How the waits of a run ended, by the paths of their steps. */
  async endsOf({ tenant, id }: { readonly tenant: string; readonly id: string }): Promise<Map<string, WaitEnd>> {
    const rows = await this.database.query<{ step: string; reason: WaitEnd['reason']; overAt: Date }>(ofRun, [tenant, id]);
    return new Map(rows.map(({ step, reason, overAt }) => [step, { reason, at: overAt.toISOString() }]));
  }

  backlog(): Promise<WaitBacklog[]> {
    return this.database.query<WaitBacklog>(backlog);
  }
}
