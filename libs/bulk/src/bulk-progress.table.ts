import type { BulkOperationKind, BulkSelection, CancelBulkOperation, StartBulkOperation } from '#libs/contracts';
import { bulkOperationId } from '#libs/contracts';
import { Database, columns, isFreeLease, statement, storableText } from '#libs/persistence';
import type { Statement } from '#libs/persistence';

/** The position of an item among those of its operation. The earliest item has its command appended first. */
export interface ItemPosition {
  readonly at: string;
  readonly place: number;
  readonly key: string;
}

/** One item of an operation, for which a command is appended. */
export interface BulkItem extends ItemPosition {
  /** The id of the event or delivery. */
  readonly subject: string;
  /** The flow of its dead letter; null if the item was not found through one. */
  readonly flow: string | null;
  readonly customer: string;
  /** The dead letter of a run that it was found through; absent for other items. */
  readonly deadLetter?: string;
}

/** The progress of an operation. */
export interface Progress {
  /** The last item that was handled; null before the first. */
  readonly position: ItemPosition | null;
  readonly done: number;
  readonly failed: number;
  /** Items for which nothing was ordered, by the code of the reason. */
  readonly leftOut: Readonly<Record<string, number>>;
}

/** An operation that this process may carry out as long as its fence is the newest. */
export interface BulkOperation extends Progress {
  readonly tenant: string;
  readonly id: string;
  readonly selection: BulkSelection;
  readonly filter: Record<string, unknown>;
  readonly flow: string | null;
  readonly ratePerSecond: number;
  readonly actor: string;
  /** Null until the items were counted. */
  readonly total: number | null;
  /** Timestamp in Postgres' text form. Items that came later do not belong to the operation. */
  readonly startedAt: string;
  readonly fence: number;
}

const start = statement(
  'bulkOperation.start',
  `INSERT INTO bulk_operation (tenant_id, id, kind, selection, filter, flow, rate_per_second, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
   ON CONFLICT DO NOTHING RETURNING id`,
);
const cancel = statement(
  'bulkOperation.cancel',
  `UPDATE bulk_operation SET state = 'cancelled', lease_until = NULL, finished_at = clock_timestamp()
   WHERE tenant_id = $1 AND id = $2 AND kind = $3 AND state = 'running' RETURNING id`,
);

const leased = (parameter: string): string => `clock_timestamp() + ${parameter} * interval '1 millisecond'`;
const isFree = isFreeLease('operation.lease_until');

/** Tenants take turns: the first operation of each comes before the second of any. */
const claim = statement(
  'bulkOperation.claim',
  `WITH running AS (
     SELECT operation.tenant_id, operation.id, started_at, ${isFree} AS free,
       row_number() OVER (PARTITION BY tenant_id ORDER BY started_at, id) AS turn
     FROM bulk_operation AS operation WHERE kind = $1 AND state = 'running'),
   locked AS (
     SELECT operation.tenant_id, operation.id FROM bulk_operation AS operation
     JOIN (SELECT tenant_id, id FROM running WHERE free ORDER BY turn, started_at LIMIT $2) AS chosen USING (tenant_id, id)
     WHERE state = 'running' AND ${isFree}
     FOR UPDATE OF operation SKIP LOCKED)
   UPDATE bulk_operation AS operation SET fence = fence + 1, lease_until = ${leased('$3')}
   FROM locked WHERE operation.tenant_id = locked.tenant_id AND operation.id = locked.id
   RETURNING operation.tenant_id AS tenant, operation.id, selection, filter, flow, rate_per_second AS "ratePerSecond", actor, total, done, failed,
     left_out AS "leftOut", position, started_at::text AS "startedAt", fence`,
);
const claimColumns = columns<Pick<BulkOperation, 'tenant' | 'id' | 'fence'>>({
  tenant_id: ['text', ({ tenant }) => tenant],
  id: ['text', ({ id }) => id],
  fence: ['bigint', ({ fence }) => fence],
});
const renew = statement(
  'bulkOperation.renew',
  `UPDATE bulk_operation AS operation SET lease_until = ${leased('$1')}
   FROM ${claimColumns.unnest('held', 2)}
   WHERE operation.tenant_id = held.tenant_id AND operation.id = held.id AND operation.fence = held.fence AND state = 'running'
   RETURNING operation.id`,
);

const mine = `tenant_id = $1 AND id = $2 AND fence = $3`;
const counted = statement('bulkOperation.counted', `UPDATE bulk_operation SET total = $4, total_exact = $5 WHERE ${mine}`);
/** Also saved after a cancel, so the final progress is shown. */
const save = statement(
  'bulkOperation.save',
  `UPDATE bulk_operation SET position = $4, done = $5, failed = $6, left_out = $7 WHERE ${mine} AND state IN ('running', 'cancelled') RETURNING state`,
);
const release = statement('bulkOperation.release', `UPDATE bulk_operation SET lease_until = NULL WHERE ${mine} AND state = 'running'`);
const finish = statement(
  'bulkOperation.finish',
  `UPDATE bulk_operation SET state = $4, error_code = $5, error_message = $6, lease_until = NULL, finished_at = clock_timestamp()
   WHERE ${mine} AND state = 'running' RETURNING id`,
);

/** The table `bulk_operation`: bulk operations, the claims on them, and their progress. */
export class BulkProgressTable {
  constructor(
    private readonly database: Database,
    private readonly kind: BulkOperationKind,
  ) {}

  /** Returns false if the operation exists already. */
  async start(command: StartBulkOperation): Promise<boolean> {
    const { tenant, commandId, selection, filter, flow, ratePerSecond, actor } = command;
    const id = bulkOperationId(tenant, commandId);
    const rows = await this.database.query(start, [tenant, id, this.kind, selection, filter, flow, ratePerSecond, storableText(actor)]);
    return rows.length > 0;
  }

  /** Returns false if the operation was not running. */
  async cancel({ tenant, operationId }: CancelBulkOperation): Promise<boolean> {
    return (await this.database.query(cancel, [tenant, operationId, this.kind])).length > 0;
  }

  claim(limit: number, leaseMs: number): Promise<BulkOperation[]> {
    return this.database.query(claim, [this.kind, limit, leaseMs]);
  }

  /** Returns the ids of the operations that still run and whose claim is still held. */
  async renew(held: readonly BulkOperation[], leaseMs: number): Promise<Set<string>> {
    const rows = await this.database.query<{ id: string }>(renew, [leaseMs, ...claimColumns.values(held)]);
    return new Set(rows.map(({ id }) => id));
  }

  /** @param atMost counting stops at this number */
  async count(operation: BulkOperation, counting: Statement, atMost: number): Promise<void> {
    const { tenant, id, filter, fence, startedAt } = operation;
    const [row] = await this.database.query<{ found: number }>(counting, [tenant, filter, startedAt, atMost + 1]);
    const found = row?.found ?? 0;
    await this.database.query(counted, [tenant, id, fence, Math.min(found, atMost), found <= atMost]);
  }

  /** The items after a position, in order. */
  items({ tenant, filter, startedAt }: BulkOperation, items: Statement, after: ItemPosition | null, limit: number): Promise<BulkItem[]> {
    return this.database.query(items, [tenant, filter, startedAt, after?.at ?? null, after?.place ?? null, after?.key ?? null, limit]);
  }

  /** Returns false if the operation does not run any more or the claim was lost. */
  async save({ tenant, id, fence }: BulkOperation, { position, done, failed, leftOut }: Progress): Promise<boolean> {
    const values = [tenant, id, fence, JSON.stringify(position), done, failed, leftOut];
    const [row] = await this.database.query<{ state: string }>(save, values);
    return row?.state === 'running';
  }

  async release({ tenant, id, fence }: BulkOperation): Promise<void> {
    await this.database.query(release, [tenant, id, fence]);
  }

  /** Returns false if the operation did not run any more or the claim was lost. */
  async finish({ tenant, id, fence }: BulkOperation, failure?: { code: string; message: string }): Promise<boolean> {
    const state = failure === undefined ? 'completed' : 'failed';
    const values = [tenant, id, fence, state, failure?.code ?? null, storableText(failure?.message ?? null)];
    return (await this.database.query(finish, values)).length > 0;
  }
}
