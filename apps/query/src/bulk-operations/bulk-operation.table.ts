import { Injectable } from '@nestjs/common';
import type { BulkOperationKind, BulkSelection } from '#libs/contracts';
import { TenantDatabase, statement } from '#libs/persistence';
import type { Statement } from '#libs/persistence';
import type { BulkOperationFilter, BulkOperationState, Count } from '../generated/schema.js';
import { onePerKey } from '../graphql/batches.js';
import { conditions } from '../paging/filter.js';
import { Paging, listSource } from '../paging/paging.js';
import type { Connection, PageArguments } from '../paging/paging.js';

export interface BulkOperationRow {
  __typename: 'BulkOperation';
  id: string;
  kind: BulkOperationKind;
  state: BulkOperationState;
  selection: BulkSelection;
  filter: Record<string, unknown>;
  flow: string | null;
  ratePerSecond: number;
  total: Count | null;
  done: number;
  failed: number;
  actor: string;
  startedAt: Date;
  finishedAt: Date | null;
  errorCode: string | null;
  errorMessage: string | null;
}
export type BulkOperationPage = Connection<BulkOperationRow>;

const columns = `'BulkOperation' AS "__typename", id, kind, state, selection, filter, flow, rate_per_second AS "ratePerSecond",
  CASE WHEN total IS NOT NULL THEN json_build_object('value', total, 'exact', total_exact) END AS total, done, failed, actor,
  started_at AS "startedAt", finished_at AS "finishedAt", error_code AS "errorCode", error_message AS "errorMessage"`;
const list = listSource('bulk_operation', `${columns}, started_at::text AS "sortKey"`, {
  idOf: (row: BulkOperationRow & { sortKey: string }) => row.id,
  rowOf: (row: BulkOperationRow): BulkOperationRow => row,
});
const byIds = statement('query.bulkOperation.byIds', `SELECT ${columns} FROM bulk_operations_by_id($1, $2)`);

/** As many as the operation would count at its start. */
const countLimit = 100_000;
const counting = (name: string): Statement =>
  statement(`query.${name}.count`, `SELECT ${name}_count($1, $2, statement_timestamp(), $3) AS found`);
const counts: Record<BulkOperationKind, Partial<Record<BulkSelection, Statement>>> = {
  replay: { events: counting('replay_of_events'), deadLetters: counting('replay_of_dead_letters') },
  redelivery: { deliveries: counting('redelivery_of_deliveries'), deadLetters: counting('redelivery_of_dead_letters') },
};

@Injectable()
export class BulkOperationTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: BulkOperationFilter, page: PageArguments): Promise<BulkOperationPage> {
    return this.paging.page(list, tenant, conditions({ ...filter }), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(BulkOperationRow | null)[]> {
    return onePerKey(ids, await this.database.query<BulkOperationRow>(byIds, [tenant, ids]), (row) => row.id);
  }

  /** How many items an operation would find that started now. */
  async countItems(tenant: string, kind: BulkOperationKind, selection: BulkSelection, filter: Record<string, unknown>): Promise<Count> {
    const [row] = await this.database.query<{ found: number }>(counts[kind][selection]!, [tenant, filter, countLimit + 1]);
    const found = row?.found ?? 0;
    return { value: Math.min(found, countLimit), exact: found <= countLimit };
  }
}
