import { Injectable } from '@nestjs/common';
import type { BulkOperationKind, BulkSelection } from '#libs/contracts';
import type { EffectsByDestination } from '#libs/deliveries';
import { TenantDatabase, statement } from '#libs/persistence';
import type { Statement } from '#libs/persistence';
import { loader } from '../operations/part.js';
import { onePerKey } from '../operations/per-key.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Count, Page, ListSource, PageArguments } from '../paging/paging.js';
import type { BulkOperationFilter, BulkOperationRow, LeftOutItems } from './bulk-operation.operations.js';

const columns = `id, kind, state, selection, filter, flow, rate_per_second AS "ratePerSecond",
  CASE WHEN total IS NOT NULL THEN json_build_object('value', total, 'exact', total_exact) END AS total, done, failed,
  left_out AS "leftOut", actor,
  started_at AS "startedAt", finished_at AS "finishedAt", error_code AS "errorCode", error_message AS "errorMessage"`;
type StoredRow = Omit<BulkOperationRow, 'leftOut'> & { leftOut: Record<string, number> };
function rowOf({ leftOut, ...row }: StoredRow): BulkOperationRow {
  return { ...row, leftOut: Object.entries(leftOut).map(([code, count]) => ({ code, count })) };
}
const list: ListSource<BulkOperationRow, StoredRow> = {
  name: 'bulk_operation',
  page: statement('query.bulkOperation.page', `SELECT ${columns} FROM bulk_operation_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.bulkOperation.count', `SELECT bulk_operation_count($1, $2, $3) AS found`),
  positionOf: ({ startedAt, id }) => ({ key: startedAt.toISOString(), id }),
  rowOf,
};
const byIds = statement('query.bulkOperation.byIds', `SELECT ${columns} FROM bulk_operations_by_id($1, $2)`);

const refusedCounts: Partial<Record<BulkSelection, Statement>> = {
  deliveries: statement(
    'query.bulkOperation.refused.deliveries',
    'SELECT code, found AS count FROM redelivery_of_deliveries_refused($1, $2, statement_timestamp(), $3, $4)',
  ),
  deadLetters: statement(
    'query.bulkOperation.refused.deadLetters',
    'SELECT code, found AS count FROM redelivery_of_dead_letters_refused($1, $2, statement_timestamp(), $3, $4)',
  ),
};

/** The limit up to which an operation counts its items at its start. */
const countLimit = 100_000;
const counting = (name: string, call: string): Statement => statement(`query.bulkOperation.count.${name}`, `SELECT ${call} AS found`);
const counts: Record<BulkOperationKind, Partial<Record<BulkSelection, Statement>>> = {
  replay: {
    events: counting('replayOfEvents', 'replay_of_events_count($1, $2, statement_timestamp(), $3)'),
    deadLetters: counting('replayOfDeadLetters', 'replay_of_dead_letters_count($1, $2, statement_timestamp(), $3)'),
  },
  promotion: { outcomes: counting('promotionOfOutcomes', 'promotion_of_outcomes_count($1, $2, statement_timestamp(), $3)') },
  redelivery: {
    deliveries: counting('redeliveryOfDeliveries', 'redelivery_of_deliveries_count($1, $2, statement_timestamp(), $3)'),
    deadLetters: counting('redeliveryOfDeadLetters', 'redelivery_of_dead_letters_count($1, $2, statement_timestamp(), $3)'),
  },
};

@Injectable()
export class BulkOperationTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: BulkOperationFilter, page: PageArguments): Promise<Page<BulkOperationRow>> {
    return this.paging.page(list, tenant, conditions({ ...filter }), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(BulkOperationRow | null)[]> {
    const rows = await this.database.query<StoredRow>(byIds, [tenant, ids]);
    return onePerKey(ids, rows.map(rowOf), (row) => row.id);
  }

  /** How many items an operation would find that started now. */
  async countItems(tenant: string, kind: BulkOperationKind, selection: BulkSelection, filter: Record<string, unknown>): Promise<Count> {
    const [row] = await this.database.query<{ found: number }>(counts[kind][selection]!, [tenant, filter, countLimit + 1]);
    const found = row?.found ?? 0;
    return { value: Math.min(found, countLimit), exact: found <= countLimit };
  }

  /** How many of the items a redelivery that started now would leave out. */
  async countRefused(
    tenant: string,
    selection: BulkSelection,
    filter: Record<string, unknown>,
    effects: EffectsByDestination,
  ): Promise<LeftOutItems[]> {
    return this.database.query<LeftOutItems>(refusedCounts[selection]!, [tenant, filter, effects, countLimit]);
  }
}

export const bulkOperationById = loader((get, tenant, ids) => get(BulkOperationTable).byIds(tenant, ids));
