import { Injectable } from '@nestjs/common';
import { parseBody } from '#libs/contracts';
import type { Json } from '#libs/json';
import { TenantDatabase, statement } from '#libs/persistence';
import { customerId } from '../customers/customer.table.js';
import { loader } from '../operations/part.js';
import { onePerKey } from '../operations/per-key.js';
import { conditions, typeCondition } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Page, ListSource, PageArguments } from '../paging/paging.js';
import type { EventFilter, EventRow, EventState } from './event.operations.js';

interface RawEvent extends Omit<EventRow, 'customer'> {
  customerKey: string;
  customerFirstEventAt: Date;
  customerLastEventAt: Date;
}

const columns = `id, source, type, lane, provider_event_id AS "providerEventId", content_type AS "contentType", occurred_at AS "occurredAt",
  received_at AS "receivedAt", recorded_at AS "recordedAt", trace_id AS "traceId", customer AS "customerKey",
  customer_first_event_at AS "customerFirstEventAt", customer_last_event_at AS "customerLastEventAt"`;

/** Written out, because copying the rest of an object and spreading it takes three times as long. */
function rowOf(raw: RawEvent): EventRow {
  const { customerKey: key, customerFirstEventAt: firstEventAt, customerLastEventAt: lastEventAt } = raw;
  return {
    id: raw.id,
    type: raw.type,
    source: raw.source,
    customer: { id: customerId(key), key, firstEventAt, lastEventAt },
    lane: raw.lane,
    providerEventId: raw.providerEventId,
    contentType: raw.contentType,
    occurredAt: raw.occurredAt,
    receivedAt: raw.receivedAt,
    recordedAt: raw.recordedAt,
    traceId: raw.traceId,
  };
}

/** Properties of events that are read only where somebody asks for them. */
interface EventMarks {
  readonly isTest: boolean;
}

const list: ListSource<EventRow, RawEvent> = {
  name: 'event',
  page: statement('query.event.page', `SELECT ${columns} FROM event_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.event.count', `SELECT event_count($1, $2, $3) AS found`),
  positionOf: ({ receivedAt, id }) => ({ key: receivedAt.toISOString(), id }),
  rowOf,
};
const byIds = statement('query.event.byIds', `SELECT ${columns} FROM events_by_id($1, $2)`);
const bodies = statement('query.event.bodies', `SELECT id, content_type AS "contentType", body FROM event_bodies($1, $2)`);
const marks = statement('query.event.marks', `SELECT id, is_test AS "isTest" FROM event_marks($1, $2)`);
const schemaProblems = statement('query.event.schemaProblems', `SELECT id, problem FROM event_schema_problems($1, $2)`);
const requests = statement('query.event.requests', `SELECT id, flow FROM event_requests($1, $2)`);
const states = statement('query.event.states', `SELECT id, state FROM event_states($1, $2)`);

/** States that few events are in. A filter for them lets the database look at unsettled events only. */
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

  page(tenant: string, filter: EventFilter, page: PageArguments): Promise<Page<EventRow>> {
    return this.paging.page(list, tenant, eventConditions(filter), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(EventRow | null)[]> {
    const raws = await this.database.query<RawEvent>(byIds, [tenant, ids]);
    return onePerKey(ids, raws.map(rowOf), (row) => row.id);
  }

  async states(tenant: string, ids: readonly string[]): Promise<EventState[]> {
    const rows = await this.database.query<{ id: string; state: EventState }>(states, [tenant, ids]);
    return onePerKey(ids, rows, (row) => row.id).map((row) => row?.state ?? 'recorded');
  }

  async marks(tenant: string, ids: readonly string[]): Promise<EventMarks[]> {
    const rows = await this.database.query<EventMarks & { id: string }>(marks, [tenant, ids]);
    return onePerKey(ids, rows, (row) => row.id).map((row) => row ?? { isTest: false });
  }

  /** The events among these that are of requests, each with the only flow that runs on it. */
  requests(tenant: string, ids: readonly string[]): Promise<{ id: string; flow: string }[]> {
    return this.database.query(requests, [tenant, ids]);
  }

  async schemaProblems(tenant: string, ids: readonly string[]): Promise<(string | null)[]> {
    const rows = await this.database.query<{ id: string; problem: string }>(schemaProblems, [tenant, ids]);
    return onePerKey(ids, rows, (row) => row.id).map((row) => row?.problem ?? null);
  }

  async data(tenant: string, ids: readonly string[]): Promise<Json[]> {
    return (await this.bodies(tenant, ids)).map((row) => (row === null ? null : readBody(row)));
  }

  /** The data as expressions see it: null where the body does not fit its content type. */
  async flowData(tenant: string, id: string): Promise<Json> {
    const [row] = await this.bodies(tenant, [id]);
    try {
      return row == null ? null : parseBody(row.contentType, row.body);
    } catch {
      return null;
    }
  }

  private async bodies(tenant: string, ids: readonly string[]): Promise<(StoredBody | null)[]> {
    return onePerKey(ids, await this.database.query<StoredBody>(bodies, [tenant, ids]), (row) => row.id);
  }
}

interface StoredBody {
  id: string;
  contentType: string;
  body: Buffer;
}

/** The body as flows see it. A body that does not fit its content type is shown as text. */
function readBody({ contentType, body }: StoredBody): Json {
  try {
    return parseBody(contentType, body);
  } catch {
    return body.toString('utf8');
  }
}

export const eventById = loader((get, tenant, ids) => get(EventTable).byIds(tenant, ids));
export const eventStateOf = loader((get, tenant, ids) => get(EventTable).states(tenant, ids));
export const eventMarks = loader((get, tenant, ids) => get(EventTable).marks(tenant, ids));
export const eventSchemaProblem = loader((get, tenant, ids) => get(EventTable).schemaProblems(tenant, ids));
export const eventData = loader((get, tenant, ids) => get(EventTable).data(tenant, ids));
