import { isUtf8 } from 'node:buffer';
import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { TenantDatabase, statement } from '#libs/persistence';
import type { EarlierRequest } from '#libs/sources';
import { loader } from '../operations/part.js';
import { manyPerKey, onePerKey } from '../operations/per-key.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { ListSource, Page, PageArguments } from '../paging/paging.js';
import type { RequestFilter, RequestRow } from './request.operations.js';
import { RequestRedactions } from './request.redactions.js';

const columns = `id, source, outcome, code, message, received_at AS "receivedAt", method, path, query, headers, redacted,
  client_address AS "clientAddress", is_verified AS "isVerified", body_bytes AS "bodyBytes", trace_id AS "traceId",
  taken_at AS "takenAt", taken_by AS "takenBy"`;
const list: ListSource<RequestRow, RequestRow> = {
  name: 'request',
  page: statement('query.request.page', `SELECT ${columns} FROM request_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.request.count', `SELECT request_count($1, $2, $3) AS found`),
  positionOf: ({ receivedAt, id }) => ({ key: receivedAt.toISOString(), id }),
  rowOf: (row) => row,
};
const byIds = statement('query.request.byIds', `SELECT ${columns} FROM requests_by_id($1, $2)`);
const bodies = statement('query.request.bodies', `SELECT id, source, body FROM requests_by_id($1, $2)`);
const earlier = statement('query.request.earlier', `SELECT ${columns}, is_proxied AS "isProxied", body FROM requests_by_id($1, $2)`);
const ofEvents = statement(
  'query.request.ofEvents',
  `SELECT event_id AS "eventId", request_id AS "requestId" FROM requests_of_events($1, $2)`,
);
const eventsOf = statement(
  'query.request.eventsOf',
  `SELECT request_id AS "requestId", event_id AS "eventId" FROM events_of_requests($1, $2)`,
);
const take = statement(
  'query.request.take',
  `WITH taken AS (UPDATE request SET taken_at = coalesce(taken_at, clock_timestamp()), taken_by = coalesce(taken_by, $3) WHERE tenant_id = $1 AND id = $2 RETURNING id)
   INSERT INTO request_event (tenant_id, event_id, request_id, place)
   SELECT $1, brought.event_id, taken.id, brought.place - 1 FROM taken, unnest($4::text[]) WITH ORDINALITY AS brought (event_id, place)
   ON CONFLICT DO NOTHING`,
);

interface BroughtEvent {
  readonly eventId: string;
  readonly requestId: string;
}

/** A kept request with all that is kept of it. */
export type WholeRequest = RequestRow & Omit<EarlierRequest, 'receivedAtMs'>;

@Injectable()
export class RequestTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
    private readonly redactions: RequestRedactions,
  ) {}

  async page(tenant: string, filter: RequestFilter, page: PageArguments): Promise<Page<RequestRow>> {
    const show = await this.shower(tenant);
    return this.paging.page({ ...list, rowOf: show }, tenant, conditions(filter), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(RequestRow | null)[]> {
    const show = await this.shower(tenant);
    const rows = await this.database.query<RequestRow>(byIds, [tenant, ids]);
    return onePerKey(ids, rows.map(show), (row) => row.id);
  }

  /** With what was kept of it, secrets of today among it: for the source, and not to be shown. */
  async whole(tenant: string, id: string): Promise<WholeRequest | undefined> {
    return (await this.database.query<WholeRequest>(earlier, [tenant, [id]]))[0];
  }

  /** The kept parts of the bodies; null for one that is not shown, because a secret of its source stands in it. */
  async bodies(tenant: string, ids: readonly string[]): Promise<(Buffer | null)[]> {
    const redactionOf = await this.redactions.of(tenant);
    const rows = await this.database.query<{ id: string; source: string; body: Buffer }>(bodies, [tenant, ids]);
    const shown = rows.map(({ id, source, body }) => ({ id, body: redactionOf(source)?.mayKeepBody(body) === false ? null : body }));
    return onePerKey(ids, shown, (row) => row.id).map((row) => (row === null ? Buffer.alloc(0) : row.body));
  }

  private async shower(tenant: string): Promise<(row: RequestRow) => RequestRow> {
    const redactionOf = await this.redactions.of(tenant);
    return (row) => {
      const redaction = redactionOf(row.source);
      if (redaction === undefined) return row;
      const { headers, ...parts } = redaction.again(row);
      return { ...row, ...parts, headers: [...headers] };
    };
  }

  async idsOfEvents(tenant: string, eventIds: readonly string[]): Promise<string[][]> {
    const rows = await this.database.query<BroughtEvent>(ofEvents, [tenant, eventIds]);
    return manyPerKey(eventIds, rows, (row) => row.eventId).map((of) => of.map(({ requestId }) => requestId));
  }

  async eventIds(tenant: string, ids: readonly string[]): Promise<string[][]> {
    const rows = await this.database.query<BroughtEvent>(eventsOf, [tenant, ids]);
    return manyPerKey(ids, rows, (row) => row.requestId).map((of) => of.map(({ eventId }) => eventId));
  }

  /** Notes who had a request taken first, and the events that it brought. */
  async take({ tenant, actor }: Principal, id: string, eventIds: readonly string[]): Promise<void> {
    await this.database.asTenant(tenant, (session) => session.query(take, [tenant, id, actor, eventIds]));
  }
}

/** The body as text; null if it is no UTF-8. */
export function textOf(body: Buffer): string | null {
  return isUtf8(body) ? body.toString('utf8') : null;
}

export const requestById = loader((get, tenant, ids) => get(RequestTable).byIds(tenant, ids));
export const requestBody = loader((get, tenant, ids) => get(RequestTable).bodies(tenant, ids));
export const requestIdsOfEvent = loader((get, tenant, ids) => get(RequestTable).idsOfEvents(tenant, ids));
export const eventIdsOfRequest = loader((get, tenant, ids) => get(RequestTable).eventIds(tenant, ids));
