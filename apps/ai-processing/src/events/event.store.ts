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
  log_topic: ['text', ({ position }) => position.topic],
  log_partition: ['integer', ({ position }) => position.partition],
  log_offset: ['bigint', ({ position }) => position.offset],
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

const find = statement(
  'event.find',
  `SELECT source, customer, lane, type, provider_event_id, occurred_at, received_at, content_type, body
   FROM event WHERE tenant_id = $1 AND id = $2`,
);

interface EventRow {
  source: string;
  customer: string;
  lane: EventReceived['lane'];
  type: string;
  provider_event_id: string | null;
  occurred_at: Date;
  received_at: Date;
  content_type: string;
  body: Buffer;
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
    const [row] = await this.database.query<EventRow>(find, [tenant, eventId]);
    if (row === undefined) return undefined;
    return {
      eventId,
      tenant,
      source: row.source,
      customer: row.customer,
      lane: row.lane,
      type: row.type,
      providerEventId: row.provider_event_id,
      occurredAt: row.occurred_at.toISOString(),
      receivedAt: row.received_at.toISOString(),
      contentType: row.content_type,
      ...(isUtf8(row.body) ? { body: row.body.toString('utf8') } : { bodyBase64: row.body.toString('base64') }),
    };
  }
}
