import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import { loader } from '../operations/part.js';
import { manyPerKey, onePerKey } from '../operations/per-key.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Page, ListSource, PageArguments } from '../paging/paging.js';
import type { RunRow } from '../runs/run.operations.js';
import type { DeadLetterFilter, DeadLetterRow } from './dead-letter.operations.js';

const columns = `id, kind, customer, code, message, event_id AS "eventId", run_id AS "runId",
  delivery_id AS "deliveryId", position, created_at AS "createdAt", resolved_at AS "resolvedAt", resolution`;
const list: ListSource<DeadLetterRow, DeadLetterRow> = {
  name: 'dead_letter',
  page: statement('query.deadLetter.page', `SELECT ${columns} FROM dead_letter_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.deadLetter.count', `SELECT dead_letter_count($1, $2, $3) AS found`),
  positionOf: ({ createdAt, id }) => ({ key: createdAt.toISOString(), id }),
  rowOf: (row) => row,
};
const byIds = statement('query.deadLetter.byIds', `SELECT ${columns} FROM dead_letters_by_id($1, $2)`);
const ofEvents = statement('query.deadLetter.ofEvents', `SELECT ${columns} FROM dead_letters_of_events($1, $2)`);

const inPlaceOf = statement('query.deadLetter.runInPlaceOf', 'SELECT id, state FROM retry_in_place_of($1, $2, $3, $4)');

/** The run that takes the place of one that was given up. */
export type RunInPlace = Pick<RunRow, 'id' | 'state'>;

export function deadLetterConditions({ resolved, ...filter }: DeadLetterFilter): Record<string, unknown> {
  return conditions({ ...filter, open: resolved === false ? true : undefined, resolved: resolved === true ? true : undefined });
}

@Injectable()
export class DeadLetterTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: DeadLetterFilter, page: PageArguments): Promise<Page<DeadLetterRow>> {
    return this.paging.page(list, tenant, deadLetterConditions(filter), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(DeadLetterRow | null)[]> {
    return onePerKey(ids, await this.database.query<DeadLetterRow>(byIds, [tenant, ids]), (row) => row.id);
  }

  /** Null: there is none, so a retry makes the next generation. */
  async runInPlaceOf(tenant: string, { eventId, flow, generation }: RunRow): Promise<RunInPlace | null> {
    const [run] = await this.database.query<RunInPlace>(inPlaceOf, [tenant, eventId, flow, generation]);
    return run ?? null;
  }

  async ofEvents(tenant: string, eventIds: readonly string[]): Promise<DeadLetterRow[][]> {
    return manyPerKey(eventIds, await this.database.query<DeadLetterRow>(ofEvents, [tenant, eventIds]), (row) => row.eventId ?? '');
  }
}

export const deadLetterById = loader((get, tenant, ids) => get(DeadLetterTable).byIds(tenant, ids));
export const deadLettersOfEvent = loader((get, tenant, ids) => get(DeadLetterTable).ofEvents(tenant, ids));
