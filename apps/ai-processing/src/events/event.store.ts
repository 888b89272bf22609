import { isUtf8 } from 'node:buffer';
import { Injectable } from '@nestjs/common';
import type { EventReceived } from '#libs/contracts';
import { eventBody } from '#libs/contracts';
import { Database, columns, statement, storableText } from '#libs/persistence';

/** An event with its position in the log, to be stored. */
export interface LoggedEvent {
  event: EventReceived;
  traceId: string | null;
  position: { topic: string; partition: number; offset: string };
}

const eventColumns = columns<LoggedEvent>({
  tenant_id: ['text', ({ event }) => event.tenant],
  id: ['text', ({ event }) => event.eventId],
  source: ['text', ({ event }) => event.source],
  customer: ['text', ({ event }) => event.customer],
  type: ['text', ({ event }) => storableText(event.type)],
  lane: ['text', ({ event }) => event.lane],
  provider_event_id: ['text', ({ event }) => storableText(event.providerEventId)],
  occurred_at: ['timestamptz', ({ event }) => event.occurredAt],
  received_at: ['timestamptz', ({ event }) => event.receivedAt],
  trace_id: ['text', ({ traceId }) => traceId],
  content_type: ['text', ({ event }) => storableText(event.contentType)],
  body: ['bytea', ({ event }) => eventBody(event)],
  is_test: ['boolean', ({ event }) => (event.isTest === true ? true : null)],
  schema_problem: ['text', ({ event }) => storableText(event.schemaProblem ?? null)],
  log_topic: ['text', ({ position }) => position.topic],
  log_partition: ['integer', ({ position }) => position.partition],
  log_offset: ['bigint', ({ position }) => position.offset],
  request: ['json', ({ event }) => event.request && JSON.stringify(event.request)],
});

/**
 * Stores events and their customers in one statement. The first of several records of an event wins. Rows are sorted, so that two processes which
 * record the same events cannot deadlock. Returns the numbers of the records that their events come from: those inserted here, and those that an
 * earlier try of the same record inserted.
 */
const record = statement(
  'event.record',
  `WITH input AS (SELECT * FROM ${eventColumns.unnestNumbered('record')}),
   inserted AS (
     INSERT INTO event (${eventColumns.names})
     SELECT ${eventColumns.names}
     FROM input ORDER BY tenant_id, id, number
     ON CONFLICT DO NOTHING
     RETURNING tenant_id, id, customer, received_at, log_topic, log_partition, log_offset),
   seen AS (
     INSERT INTO customer (tenant_id, customer, first_event_at, last_event_at)
     SELECT tenant_id, customer, min(received_at), max(received_at) FROM inserted GROUP BY tenant_id, customer ORDER BY tenant_id, customer
     ON CONFLICT (tenant_id, customer) DO UPDATE
     SET first_event_at = least(customer.first_event_at, EXCLUDED.first_event_at),
         last_event_at = greatest(customer.last_event_at, EXCLUDED.last_event_at))
   SELECT input.number FROM input JOIN inserted USING (tenant_id, id, log_topic, log_partition, log_offset)
   UNION
   SELECT input.number FROM input JOIN event USING (tenant_id, id, log_topic, log_partition, log_offset)`,
);

/** The columns of {@link StoredEventRow}. */
export const eventRow =
  'id, source, customer, lane, type, provider_event_id, occurred_at, received_at, content_type, body, is_test, schema_problem, request';

const find = statement('event.find', `SELECT ${eventRow} FROM event WHERE tenant_id = $1 AND id = $2`);

/** A place on the log, and when the record there was appended. */
interface LogPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly appendedAtMs: number;
}

const placeColumns = columns<LogPlace>({
  topic: ['text', ({ topic }) => topic],
  partition: ['integer', ({ partition }) => partition],
  log_offset: ['bigint', ({ offset }) => offset],
  appended_at: ['timestamptz', ({ appendedAtMs }) => new Date(appendedAtMs)],
});

/**
 * An event is received before its record is appended, by the same clock, and no longer before than an append may take. The time also tells offsets of an
 * earlier log apart.
 */
const unfinishedSince = statement(
  'event.unfinishedSince',
  `SELECT ${eventRow} FROM event LEFT JOIN ${placeColumns.unnest('place', 3)} ON place.topic = log_topic AND place.partition = log_partition
   WHERE tenant_id = $1 AND received_at >= $2::timestamptz - interval '5 minutes'
     AND (place.topic IS NULL OR (event.log_offset >= place.log_offset AND received_at >= appended_at - interval '5 minutes'))
     AND NOT EXISTS (SELECT FROM run WHERE run.tenant_id = event.tenant_id AND run.event_id = event.id AND run.state <> 'running')
   ORDER BY log_topic, log_partition, event.log_offset`,
);

const tenants = statement('event.tenants', 'SELECT DISTINCT tenant_id::text AS tenant FROM document');

export interface StoredEventRow {
  id: string;
  source: string;
  customer: string;
  lane: EventReceived['lane'];
  type: string;
  provider_event_id: string | null;
  occurred_at: Date;
  received_at: Date;
  content_type: string;
  body: Buffer;
  is_test: boolean | null;
  schema_problem: string | null;
  request: EventReceived['request'] | null;
}

/** Writes the tables `event` and `customer`. */
@Injectable()
export class EventStore {
  constructor(private readonly database: Database) {}

  /** Returns for each record whether the stored event comes from it. False: it repeats an event that is stored already. */
  async record(records: readonly LoggedEvent[]): Promise<boolean[]> {
    const rows = await this.database.query<{ number: number }>(record, eventColumns.values(records));
    const standing = new Set(rows.map(({ number }) => number));
    return records.map((_, at) => standing.has(at + 1));
  }

  /** The event as it was received; undefined if the tenant has none of this id. */
  async find(tenant: string, eventId: string): Promise<EventReceived | undefined> {
    const [row] = await this.database.query<StoredEventRow>(find, [tenant, eventId]);
    return row && eventOf(tenant, row);
  }

  /** The events of all tenants whose records stand at or after these places and of which no run has ended, each partition's in log order. */
  async unfinishedSince(places: readonly LogPlace[]): Promise<EventReceived[]> {
    const since = new Date(Math.min(...places.map(({ appendedAtMs }) => appendedAtMs)));
    const events: EventReceived[] = [];
    for (const { tenant } of await this.database.query<{ tenant: string }>(tenants)) {
      const rows = await this.database.query<StoredEventRow>(unfinishedSince, [tenant, since, ...placeColumns.values(places)]);
      events.push(...rows.map((row) => eventOf(tenant, row)));
    }
    return events;
  }
}

/** The event as it was received. */
export function eventOf(tenant: string, row: StoredEventRow): EventReceived {
  return {
    eventId: row.id,
    tenant,
    source: row.source,
    customer: row.customer,
    lane: row.lane,
    type: row.type,
    providerEventId: row.provider_event_id,
    occurredAt: row.occurred_at.toISOString(),
    receivedAt: row.received_at.toISOString(),
    contentType: row.content_type,
    ...(row.is_test === true ? { isTest: true } : {}),
    ...(row.schema_problem === null ? {} : { schemaProblem: row.schema_problem }),
    ...(isUtf8(row.body) ? { body: row.body.toString('utf8') } : { bodyBase64: row.body.toString('base64') }),
    ...(row.request === null ? {} : { request: row.request }),
  };
}
