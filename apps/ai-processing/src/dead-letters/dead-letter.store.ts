import { Injectable } from '@nestjs/common';
import type { DeadLettered, RunCompleted } from '#libs/contracts';
import { Database, columns, statement, storableText } from '#libs/persistence';

/**
 * The time at which the subject of a dead letter succeeded before the dead letter was read: its delivery arrived, or a later generation of its run
 * completed. Null: it has not. A run completes while the dead letter of an earlier one is still on its way through the log.
 */
const alreadyResolvedAt = `CASE kind
     WHEN 'delivery' THEN (
       SELECT settled_at FROM delivery WHERE tenant_id = letter.tenant_id AND id = letter.delivery_id AND state = 'delivered')
     WHEN 'run' THEN (SELECT min(later.finished_at) FROM run JOIN run AS later USING (tenant_id, event_id, flow)
       WHERE tenant_id = letter.tenant_id AND run.id = letter.run_id AND later.generation > run.generation AND later.state = 'completed')
     END`;

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
 */
const open = statement(
  'deadLetter.open',
  `INSERT INTO dead_letter (${letterColumns.names}, resolved_at, resolution)
   SELECT letter.*, CASE WHEN resolved_at IS NOT NULL THEN ${resolutionOf('kind')} END
   FROM (SELECT *, ${alreadyResolvedAt} AS resolved_at FROM ${letterColumns.unnest('letter')}) AS letter
   ON CONFLICT (tenant_id, id) DO UPDATE
   SET code = EXCLUDED.code, message = EXCLUDED.message, created_at = EXCLUDED.created_at, resolved_at = EXCLUDED.resolved_at,
     resolution = EXCLUDED.resolution
   WHERE NOT (dead_letter.kind = 'record' AND dead_letter.resolution IS NOT DISTINCT FROM 'skipped')
     AND EXCLUDED.created_at > greatest(dead_letter.created_at, dead_letter.resolved_at)`,
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
const resolvedOf = statement(
  'deadLetter.resolvedOf',
  `SELECT id FROM dead_letter WHERE tenant_id = $1 AND id = ANY ($2) AND resolved_at IS NOT NULL`,
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

  /** The open dead letters of all tenants, by kind. */
  backlog(): Promise<{ kind: DeadLettered['kind']; open: number; oldestSeconds: number }[]> {
    return this.database.query(backlog);
  }

  /** Returns the ids of the resolved ones. A dead letter that has not been read from the log yet is not among them. */
  async resolvedOf(tenant: string, ids: readonly string[]): Promise<Set<string>> {
    const rows = await this.database.query<{ id: string }>(resolvedOf, [tenant, ids]);
    return new Set(rows.map(({ id }) => id));
  }
}
