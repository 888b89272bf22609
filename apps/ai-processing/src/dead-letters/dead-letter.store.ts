import { Injectable } from '@nestjs/common';
import { deadLetterId } from '#libs/contracts';
import type { DeadLettered, FailureCode, RunCompleted } from '#libs/contracts';
import { Database, columns, statement, storableText } from '#libs/persistence';

/** A run that was given up for another reason than its cancellation, so that it has a dead letter. */
const isGivenUp = (run: string): string =>
  `${run}.state = 'failed' AND ${run}.error_code IS DISTINCT FROM '${'run.cancelled' satisfies FailureCode}'`;

/** When the first later generation of the letter's run ended in this way; null if none did. */
const laterRunEndedAt = (
  how: string,
): string => `(SELECT min(later.finished_at) FROM run JOIN run AS later USING (tenant_id, event_id, flow)
       WHERE tenant_id = letter.tenant_id AND run.id = letter.run_id AND later.generation > run.generation AND ${how})`;

/**
 * The time at which the subject of a dead letter succeeded before the dead letter was read: its delivery arrived, or a later generation of its run
 * completed. Null: it has not. A run completes while the dead letter of an earlier one is still on its way through the log.
 */
const alreadySucceededAt = `CASE kind
     WHEN 'delivery' THEN (
       SELECT settled_at FROM delivery WHERE tenant_id = letter.tenant_id AND id = letter.delivery_id AND state = 'delivered')
     WHEN 'run' THEN ${laterRunEndedAt(`later.state = 'completed'`)}
     END`;
/** The time at which a later generation was given up before the dead letter was read. */
const alreadySupersededAt = `CASE kind WHEN 'run' THEN ${laterRunEndedAt(isGivenUp('later'))} END`;

/** The resolution of each kind that succeeds after all. An operator's skip has its own. */
const resolutionOf = (kind: string): string => `CASE ${kind} WHEN 'run' THEN 'replayed' WHEN 'delivery' THEN 'redelivered' END`;

const letterColumns = columns<DeadLettered>({
  tenant_id: ['text', (letter) => storableText(letter.tenant)],
  id: ['text', (letter) => letter.deadLetterId],
  kind: ['text', (letter) => letter.kind],
  customer: ['text', (letter) => storableText(letter.customer)],
  code: ['text', (letter) => letter.code],
  message: ['text', (letter) => storableText(letter.message)],
  event_id: ['text', (letter) => storableText(letter.eventId)],
  run_id: ['text', (letter) => letter.runId],
  delivery_id: ['text', (letter) => letter.deliveryId],
  position: ['text', (letter) => letter.position],
  value: ['bytea', ({ valueBase64 }) => (valueBase64 === null ? null : Buffer.from(valueBase64, 'base64'))],
  created_at: ['timestamptz', (letter) => letter.at],
});

/**
 * A repeat of the same parking changes nothing. A later parking of the same subject opens the dead letter again with its new reason, except for a
 * record that an operator skipped: it is the same bytes at the same offset, however often the log delivers it.
 *
 * The dead letter of a run takes the place of those of earlier generations that are open, so that one retry which fails leaves one of them. Customers
 * who wait for an earlier one wait for it.
 */
const open = statement(
  'deadLetter.open',
  `WITH opened AS (
     INSERT INTO dead_letter (${letterColumns.names}, resolved_at, resolution)
     SELECT ${letterColumns.names}, coalesce(succeeded_at, superseded_at),
       CASE WHEN succeeded_at IS NOT NULL THEN ${resolutionOf('kind')} WHEN superseded_at IS NOT NULL THEN 'superseded' END
     FROM (SELECT *, ${alreadySucceededAt} AS succeeded_at, ${alreadySupersededAt} AS superseded_at FROM ${letterColumns.unnest('letter')}) AS letter
     ON CONFLICT (tenant_id, id) DO UPDATE
     SET code = EXCLUDED.code, message = EXCLUDED.message, created_at = EXCLUDED.created_at, resolved_at = EXCLUDED.resolved_at,
       resolution = EXCLUDED.resolution
     WHERE NOT (dead_letter.kind = 'record' AND dead_letter.resolution IS NOT DISTINCT FROM 'skipped')
       AND EXCLUDED.created_at > greatest(dead_letter.created_at, dead_letter.resolved_at)
     RETURNING tenant_id, id, kind, run_id, created_at, resolved_at),
   superseded AS (
     UPDATE dead_letter AS earlier SET resolved_at = greatest(opened.created_at, earlier.created_at), resolution = 'superseded'
     FROM opened JOIN run ON run.tenant_id = opened.tenant_id AND run.id = opened.run_id
       JOIN run AS earlier_run ON earlier_run.tenant_id = run.tenant_id AND earlier_run.event_id = run.event_id AND earlier_run.flow = run.flow
         AND earlier_run.generation < run.generation
     WHERE opened.kind = 'run' AND opened.resolved_at IS NULL AND earlier.tenant_id = run.tenant_id AND earlier.event_id = run.event_id
       AND earlier.kind = 'run' AND earlier.run_id = earlier_run.id AND earlier.resolved_at IS NULL
     RETURNING earlier.tenant_id, earlier.id, opened.id AS successor)
   UPDATE hold SET dead_letter_id = superseded.successor FROM superseded
   WHERE hold.tenant_id = superseded.tenant_id AND hold.dead_letter_id = superseded.id`,
);

/** A dead letter that was created after the delivery arrived stays open. */
const resolveDelivery = statement(
  'deadLetter.resolveDelivery',
  `UPDATE dead_letter SET resolved_at = greatest($3, created_at), resolution = ${resolutionOf('kind')}
   WHERE tenant_id = $1 AND id = $2 AND resolved_at IS NULL AND created_at <= $3`,
);
/** Compares generations instead of the clocks of two machines, because a customer may wait for the result. */
const resolveEarlierRuns = statement(
  'deadLetter.resolveEarlierRuns',
  `UPDATE dead_letter SET resolved_at = greatest($5, created_at), resolution = ${resolutionOf('kind')}
   WHERE tenant_id = $1 AND event_id = $2 AND kind = 'run' AND resolved_at IS NULL
     AND run_id IN (SELECT id FROM run WHERE tenant_id = $1 AND event_id = $2 AND flow = $3 AND generation < $4)`,
);
const skip = statement(
  'deadLetter.skip',
  `UPDATE dead_letter SET resolved_at = clock_timestamp(), resolution = 'skipped' WHERE tenant_id = $1 AND id = $2 AND resolved_at IS NULL`,
);
/** Includes the retries of dead letters that this one took the place of, and no replay by will. */
const retriesToWithdraw = statement(
  'deadLetter.retriesToWithdraw',
  `SELECT retry.id AS "runId", retry.event_id AS "eventId"
   FROM dead_letter AS letter JOIN run AS given_up ON given_up.tenant_id = letter.tenant_id AND given_up.id = letter.run_id
     JOIN run AS retry ON retry.tenant_id = given_up.tenant_id AND retry.event_id = given_up.event_id AND retry.flow = given_up.flow
   WHERE letter.tenant_id = $1 AND letter.id = $2 AND letter.kind = 'run' AND letter.resolution = 'skipped'
     AND retry.dead_letter_id IS NOT NULL AND retry.state IN ('running', 'waiting')
   ORDER BY retry.generation`,
);
/** The dead letter of a run, or the one that took its place in the end. */
const ofGivenUpRuns = statement(
  'deadLetter.ofGivenUpRuns',
  `SELECT DISTINCT ON (run.id) run.id AS "runId", later.id AS "lastRunId", letter.resolved_at IS NOT NULL AS "isResolved"
   FROM run JOIN run AS later ON later.tenant_id = run.tenant_id AND later.event_id = run.event_id AND later.flow = run.flow
       AND later.generation >= run.generation AND ${isGivenUp('later')}
     LEFT JOIN dead_letter AS letter ON letter.tenant_id = later.tenant_id AND letter.event_id = later.event_id AND letter.kind = 'run'
       AND letter.run_id = later.id
   WHERE run.tenant_id = $1 AND run.id = ANY ($2) AND letter.resolution IS DISTINCT FROM 'superseded'
   ORDER BY run.id, later.generation`,
);

const backlog = statement(
  'deadLetter.backlog',
  `SELECT kind, count(*) AS open, extract(epoch FROM statement_timestamp() - min(created_at))::float8 AS "oldestSeconds"
   FROM dead_letter WHERE resolved_at IS NULL GROUP BY kind`,
);

/** The table `dead_letter`: records, runs and deliveries that were given up, with their reasons. */
@Injectable()
export class DeadLetterStore {
  constructor(private readonly database: Database) {}

  async open(letter: DeadLettered): Promise<void> {
    await this.database.query(open, letterColumns.values([letter]));
  }

  async resolveDelivery(tenant: string, id: string, at: string): Promise<void> {
    await this.database.query(resolveDelivery, [tenant, id, at]);
  }

  /** Resolves the dead letters of earlier generations of the run's flow on its event. */
  async resolveEarlierRuns(run: Pick<RunCompleted, 'tenant' | 'eventId' | 'flow' | 'generation' | 'at'>): Promise<void> {
    const { tenant, eventId, flow, generation, at } = run;
    await this.database.query(resolveEarlierRuns, [tenant, eventId, flow, generation, at]);
  }

  /** Resolves it as given up for good. */
  async skip(tenant: string, id: string): Promise<void> {
    await this.database.query(skip, [tenant, id]);
  }

  /** Returns the retries of the run of a skipped dead letter that have not ended. */
  retriesToWithdraw(tenant: string, id: string): Promise<{ runId: string; eventId: string }[]> {
    return this.database.query(retriesToWithdraw, [tenant, id]);
  }

  /** The open dead letters of all tenants, by kind. */
  backlog(): Promise<{ kind: DeadLettered['kind']; open: number; oldestSeconds: number }[]> {
    return this.database.query(backlog);
  }

  /** The open dead letters of runs that were given up, by run: their own, or those that took their place. One that was not read from the log yet is open. */
  async openOf(tenant: string, runIds: readonly string[]): Promise<Map<string, { runId: string; deadLetterId: string }>> {
    const rows = await this.database.query<{ runId: string; lastRunId: string; isResolved: boolean }>(ofGivenUpRuns, [tenant, runIds]);
    const unresolved = rows.filter(({ isResolved }) => !isResolved);
    const letterOf = (runId: string) => ({ runId, deadLetterId: deadLetterId(tenant, 'run', runId) });
    return new Map(unresolved.map(({ runId, lastRunId }) => [runId, letterOf(lastRunId)]));
  }
}
