import { Injectable } from '@nestjs/common';
import type { DeadLettered, RunCompleted } from '#libs/contracts';
import { Database, columns, statement, storableText } from '#libs/persistence';

/**
 * When a parked thing was put right before its dead letter was read, which stands on another topic than what resolves it: the delivery has
 * arrived, or a later generation of the run has completed. Null: not yet.
 */
const alreadyResolvedAt = `CASE kind
     WHEN 'delivery' THEN (
       SELECT settled_at FROM delivery WHERE tenant_id = letter.tenant_id AND id = letter.delivery_id AND state = 'delivered')
     WHEN 'run' THEN (SELECT min(later.finished_at) FROM run JOIN run AS later USING (tenant_id, event_id, flow)
       WHERE tenant_id = letter.tenant_id AND run.id = letter.run_id AND later.generation > run.generation AND later.state = 'completed')
     END`;

/** How each kind is put right by itself; an operator's skip says so. */
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
 * Announced again, the same parking changes nothing; a later parking of the same thing opens the dead letter again, with its new reason. Not of
 * a record that an operator gave up: it is the same bytes at the same place, however often the log brings them.
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

/** What was parked after it was put right stays open. */
const resolveDelivery = statement(
  'deadLetter.resolveDelivery',
  `UPDATE dead_letter SET resolved_at = greatest($3, created_at), resolution = ${resolutionOf('kind')}
   WHERE tenant_id = $1 AND id = $2 AND resolved_at IS NULL AND created_at <= $3`,
);
/** Here the generation says what came after, not the clocks of two machines: a customer may wait for it. */
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

/** The table `dead_letter`: what was given up, with its reason, until it is put right. */
@Injectable()
export class DeadLetterStore {
  constructor(private readonly database: Database) {}

  async open(letter: DeadLettered): Promise<void> {
    await this.database.query(open, letterColumns.values([letter]));
  }

  async resolveDelivery(tenant: string, id: string, at: string): Promise<void> {
    await this.database.query(resolveDelivery, [tenant, id, at]);
  }

  /** Those of the run's flow and event. */
  async resolveEarlierRuns(run: Pick<RunCompleted, 'tenant' | 'eventId' | 'flow' | 'generation' | 'at'>): Promise<void> {
    const { tenant, eventId, flow, generation, at } = run;
    await this.database.query(resolveEarlierRuns, [tenant, eventId, flow, generation, at]);
  }

  /** Given up for good. */
  async skip(tenant: string, id: string): Promise<void> {
    await this.database.query(skip, [tenant, id]);
  }

  /** Those of them that are resolved; one that has not been read from the log yet is not. */
  async resolvedOf(tenant: string, ids: readonly string[]): Promise<Set<string>> {
    const rows = await this.database.query<{ id: string }>(resolvedOf, [tenant, ids]);
    return new Set(rows.map(({ id }) => id));
  }
}
