import { Injectable } from '@nestjs/common';
import { parseBody } from '#libs/contracts';
import type { Json, Lane } from '#libs/contracts';
import { TenantDatabase, statement } from '#libs/persistence';
import { customerId } from '../customers/customer.table.js';
import type { CustomerRow } from '../customers/customer.table.js';
import type { EventFilter, EventState } from '../generated/schema.js';
import { onePerKey } from '../graphql/batches.js';
import { conditions, typeCondition } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Connection, ListSource, PageArguments } from '../paging/paging.js';

export interface EventRow {
  __typename: 'Event';
  id: string;
  source: string;
  type: string;
  lane: Lane;
  customer: CustomerRow;
  providerEventId: string | null;
  contentType: string;
  occurredAt: Date;
  receivedAt: Date;
  recordedAt: Date;
  traceId: string | null;
}
export type EventPage = Connection<EventRow>;

interface Raw extends Omit<EventRow, '__typename' | 'customer'> {
  customerKey: string;
  customerFirstEventAt: Date;
  customerLastEventAt: Date;
}

const columns = `id, source, type, lane, provider_event_id AS "providerEventId", content_type AS "contentType", occurred_at AS "occurredAt",
  received_at AS "receivedAt", recorded_at AS "recordedAt", trace_id AS "traceId", customer AS "customerKey",
  customer_first_event_at AS "customerFirstEventAt", customer_last_event_at AS "customerLastEventAt"`;

function rowOf({ customerKey: key, customerFirstEventAt: firstEventAt, customerLastEventAt: lastEventAt, ...event }: Raw): EventRow {
  return { __typename: 'Event', ...event, customer: { __typename: 'Customer', id: customerId(key), key, firstEventAt, lastEventAt } };
}

const list: ListSource<EventRow, Raw & { sortKey: string }> = {
  name: 'event',
  page: statement('query.event.page', `SELECT ${columns}, received_at::text AS "sortKey" FROM event_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.event.count', `SELECT event_count($1, $2, $3) AS found`),
  idOf: (raw) => raw.id,
  rowOf,
};
const byIds = statement('query.event.byIds', `SELECT ${columns} FROM events_by_id($1, $2)`);
const bodies = statement('query.event.bodies', `SELECT id, content_type AS "contentType", body FROM event_bodies($1, $2)`);
const states = statement('query.event.states', `SELECT id, state FROM event_states($1, $2)`);

/** States that few events are in: the database then looks at those that are unsettled, not at each in turn. */
const rareStates: readonly EventState[] = ['running', 'delivering', 'parked'];

/** @throws ArgumentInvalid */
export function eventConditions({ type, states: wanted, ...filter }: EventFilter): Record<string, unknown> {
  const unsettled = wanted?.every((state) => rareStates.includes(state)) ? true : undefined;
  return conditions({ ...filter, ...typeCondition(type), states: wanted, unsettled });
}

@Injectable()
export class EventTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: EventFilter, page: PageArguments): Promise<EventPage> {
    return this.paging.page(list, tenant, eventConditions(filter), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(EventRow | null)[]> {
    const raws = await this.database.query<Raw>(byIds, [tenant, ids]);
    return onePerKey(ids, raws.map(rowOf), (row) => row.id);
  }

  async states(tenant: string, ids: readonly string[]): Promise<EventState[]> {
    const rows = await this.database.query<{ id: string; state: EventState }>(states, [tenant, ids]);
    return onePerKey(ids, rows, (row) => row.id).map((row) => row?.state ?? 'recorded');
  }

  async data(tenant: string, ids: readonly string[]): Promise<Json[]> {
    const rows = await this.database.query<{ id: string; contentType: string; body: Buffer }>(bodies, [tenant, ids]);
    return onePerKey(ids, rows, (row) => row.id).map((row) => (row === null ? null : readBody(row.contentType, row.body)));
  }
}

/** As flows see it; a partner may say JSON and send something else, and then its text is what there is to show. */
function readBody(contentType: string, body: Buffer): Json {
  try {
    return parseBody(contentType, body);
  } catch {
    return body.toString('utf8');
  }
}
