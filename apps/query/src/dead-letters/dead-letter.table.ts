import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import type { DeadLetterFilter, DeadLetterKind, DeadLetterResolution } from '../generated/schema.js';
import { manyPerKey, onePerKey } from '../graphql/batches.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Connection, ListSource, PageArguments } from '../paging/paging.js';

export interface DeadLetterRow {
  __typename: 'DeadLetter';
  id: string;
  kind: DeadLetterKind;
  customer: string;
  code: string;
  message: string;
  eventId: string | null;
  runId: string | null;
  deliveryId: string | null;
  position: string | null;
  createdAt: Date;
  resolvedAt: Date | null;
  resolution: DeadLetterResolution | null;
}
export type DeadLetterPage = Connection<DeadLetterRow>;

const columns = `'DeadLetter' AS "__typename", id, kind, customer, code, message, event_id AS "eventId", run_id AS "runId",
  delivery_id AS "deliveryId", position, created_at AS "createdAt", resolved_at AS "resolvedAt", resolution`;
const list: ListSource<DeadLetterRow, DeadLetterRow & { sortKey: string }> = {
  name: 'dead_letter',
  page: statement(
    'query.deadLetter.page',
    `SELECT ${columns}, created_at::text AS "sortKey" FROM dead_letter_page($1, $2, $3, $4, $5, $6)`,
  ),
  count: statement('query.deadLetter.count', `SELECT dead_letter_count($1, $2, $3) AS found`),
  idOf: (row) => row.id,
  rowOf: (row) => row,
};
const byIds = statement('query.deadLetter.byIds', `SELECT ${columns} FROM dead_letters_by_id($1, $2)`);
const ofEvents = statement('query.deadLetter.ofEvents', `SELECT ${columns} FROM dead_letters_of_events($1, $2)`);

export function deadLetterConditions({ resolved, ...filter }: DeadLetterFilter): Record<string, unknown> {
  return conditions({ ...filter, open: resolved === false ? true : undefined, resolved: resolved === true ? true : undefined });
}

@Injectable()
export class DeadLetterTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: DeadLetterFilter, page: PageArguments): Promise<DeadLetterPage> {
    return this.paging.page(list, tenant, deadLetterConditions(filter), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(DeadLetterRow | null)[]> {
    return onePerKey(ids, await this.database.query<DeadLetterRow>(byIds, [tenant, ids]), (row) => row.id);
  }

  async ofEvents(tenant: string, eventIds: readonly string[]): Promise<DeadLetterRow[][]> {
    return manyPerKey(eventIds, await this.database.query<DeadLetterRow>(ofEvents, [tenant, eventIds]), (row) => row.eventId ?? '');
  }
}
