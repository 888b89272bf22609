import { Injectable } from '@nestjs/common';
import { eventBody } from '#libs/contracts';
import type { RequestReceived } from '#libs/contracts';
import { Database, columns, statement, storableText } from '#libs/persistence';

/** A request with the trace that it was received in. */
export interface LoggedRequest {
  readonly request: RequestReceived;
  readonly traceId: string | null;
}

/** Most requests that are kept of one source and outcome, and their bytes. The newest stay. */
export interface RequestRoom {
  readonly rows: number;
  readonly bytes: number;
}
export const standardRoom: RequestRoom = { rows: 1_000, bytes: 32 * 1_048_576 };

const requestColumns = columns<LoggedRequest>({
  tenant_id: ['text', ({ request }) => request.tenant],
  id: ['text', ({ request }) => request.requestId],
  source: ['text', ({ request }) => request.source],
  outcome: ['text', ({ request }) => request.outcome],
  code: ['text', ({ request }) => request.code],
  message: ['text', ({ request }) => storableText(request.message)],
  received_at: ['timestamptz', ({ request }) => request.receivedAt],
  method: ['text', ({ request }) => storableText(request.method)],
  path: ['text', ({ request }) => storableText(request.path)],
  query: ['text', ({ request }) => storableText(request.query)],
  headers: ['json', ({ request }) => JSON.stringify(request.headers)],
  redacted: ['json', ({ request }) => JSON.stringify(request.redacted)],
  client_address: ['text', ({ request }) => storableText(request.clientAddress)],
  is_proxied: ['boolean', ({ request }) => request.isProxied],
  is_verified: ['boolean', ({ request }) => request.isVerified],
  body: ['bytea', ({ request }) => eventBody(request)],
  body_bytes: ['integer', ({ request }) => request.bodyBytes],
  kept_bytes: ['integer', ({ request }) => eventBody(request).length + JSON.stringify(request.headers).length + request.path.length],
  trace_id: ['text', ({ traceId }) => traceId],
});

const eventColumns = columns<{ request: RequestReceived; eventId: string; place: number }>({
  tenant_id: ['text', ({ request }) => request.tenant],
  event_id: ['text', ({ eventId }) => eventId],
  request_id: ['text', ({ request }) => request.requestId],
  place: ['integer', ({ place }) => place],
});

const record = statement(
  'request.record',
  `WITH inserted AS (
     INSERT INTO request (${requestColumns.names}) SELECT ${requestColumns.names} FROM ${requestColumns.unnest('input')}
     ORDER BY tenant_id, id ON CONFLICT DO NOTHING)
   INSERT INTO request_event (${eventColumns.names})
   SELECT ${eventColumns.names} FROM ${eventColumns.unnest('input', requestColumns.size + 1)} ORDER BY tenant_id, event_id, request_id
   ON CONFLICT DO NOTHING`,
);

/** Looks at the newest rows of a source and outcome, and deletes what is beyond its room. Another process that deletes the same is passed over. */
const trim = statement(
  'request.trim',
  `WITH beyond AS (
     SELECT touched.tenant_id, ranked.id FROM unnest($1::text[], $2::text[], $3::text[]) AS touched (tenant_id, source, outcome)
     CROSS JOIN LATERAL (
       SELECT id, row_number() OVER newest AS place, sum(kept_bytes) OVER newest AS bytes FROM request
       WHERE request.tenant_id = touched.tenant_id AND request.source = touched.source AND request.outcome = touched.outcome
       WINDOW newest AS (ORDER BY received_at DESC, id DESC ROWS UNBOUNDED PRECEDING)) AS ranked
     WHERE ranked.place > $4 OR ranked.bytes > $5),
   locked AS (
     SELECT request.tenant_id, request.id FROM request JOIN beyond USING (tenant_id, id) ORDER BY tenant_id, id FOR UPDATE OF request SKIP LOCKED),
   gone AS (
     DELETE FROM request USING locked WHERE request.tenant_id = locked.tenant_id AND request.id = locked.id RETURNING request.tenant_id, request.id)
   DELETE FROM request_event USING gone WHERE request_event.tenant_id = gone.tenant_id AND request_event.request_id = gone.id`,
);

/** Jumps from tenant to tenant in the index. */
const tenants = statement(
  'request.tenants',
  `WITH RECURSIVE tenant AS (
     (SELECT tenant_id FROM request ORDER BY tenant_id LIMIT 1)
     UNION ALL
     SELECT (SELECT request.tenant_id FROM request WHERE request.tenant_id > tenant.tenant_id ORDER BY request.tenant_id LIMIT 1)
     FROM tenant WHERE tenant.tenant_id IS NOT NULL)
   SELECT tenant_id AS tenant FROM tenant WHERE tenant_id IS NOT NULL`,
);

const deleteOld = statement(
  'request.deleteOld',
  `WITH old AS (
     SELECT tenant_id, id FROM request WHERE tenant_id = $1 AND received_at < $2 ORDER BY received_at, id LIMIT $3 FOR UPDATE SKIP LOCKED),
   gone AS (
     DELETE FROM request USING old WHERE request.tenant_id = old.tenant_id AND request.id = old.id RETURNING request.tenant_id, request.id),
   gone_event AS (
     DELETE FROM request_event USING gone WHERE request_event.tenant_id = gone.tenant_id AND request_event.request_id = gone.id)
   SELECT id FROM gone`,
);

/** Writes the tables `request` and `request_event`. */
@Injectable()
export class RequestStore {
  constructor(private readonly database: Database) {}

  /** Stores requests, each once, and deletes what is beyond the room of their sources. */
  async record(records: readonly LoggedRequest[], room: RequestRoom = standardRoom): Promise<void> {
    const events = records.flatMap(({ request }) => request.eventIds.map((eventId, place) => ({ request, eventId, place })));
    await this.database.query(record, [...requestColumns.values(records), ...eventColumns.values(events)]);
    const touched = new Map(records.map(({ request }) => [`${request.tenant} ${request.source} ${request.outcome}`, request]));
    const of = <T>(value: (request: RequestReceived) => T): T[] => [...touched.values()].map(value);
    const lists = [of(({ tenant }) => tenant), of(({ source }) => source), of(({ outcome }) => outcome)];
    await this.database.query(trim, [...lists, room.rows, room.bytes]);
  }

  async tenants(): Promise<string[]> {
    return (await this.database.query<{ tenant: string }>(tenants)).map(({ tenant }) => tenant);
  }

  /** Deletes at most `limit` requests received before `before`, and returns their number. */
  async deleteOld(tenant: string, before: Date, limit = 500): Promise<number> {
    return (await this.database.query(deleteOld, [tenant, before, limit])).length;
  }
}
