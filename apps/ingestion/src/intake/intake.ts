import { isUtf8 } from 'node:buffer';
import { Injectable } from '@nestjs/common';
import { EventReceived, eventId, eventTopics, unnamedCustomer } from '#libs/contracts';
import { RecordProducer, maxEventRecordBytes } from '#libs/messaging';
import { counter } from '#libs/tracing';
import { eventFields } from '../sources/event-fields.js';
import type { ExpressionInput, EventFields } from '../sources/event-fields.js';
import type { Source } from '../sources/source-catalog.js';

/** A verified request, or one event of a batch. */
export interface VerifiedEvent {
  source: Source;
  /** The input of the source's expressions. */
  input: ExpressionInput;
  /** The bytes of the event. */
  payload: Buffer;
  /** The payload as text, if it is known to be text without control characters. */
  text: string | undefined;
  contentType: string;
  receivedAtMs: number;
}

const eventsReceived = counter('millrace_events_received_total', 'Events appended to the log.', {
  scheme: 'the scheme of the source',
  lane: 'the lane',
});
const fieldsMissing = counter(
  'millrace_event_facts_missing_total',
  'Events of which a fact could not be read: `absent` where no expression found a value, `unusable` where the value found is no such fact, `failed` where an expression failed.',
  { scheme: 'the scheme of the source', fact: 'such as `customer` or `type`', reason: '`absent`, `unusable` or `failed`' },
);

/** The type of an event without a usable type. */
const unknownType = 'unknown';

/** Determines the id, customer, type and lane of events and appends them to the log. Both doors use it. */
@Injectable()
export class Intake {
  constructor(private readonly producer: RecordProducer) {}

  /**
   * Resolves when the log has all events on all in-sync replicas (promise 1). Nothing is appended before the fields of all events were read,
   * so the events of one customer are appended in the order given.
   * @throws LogUnavailable some events may have been stored; if they are sent again, they are the same events
   */
  async accept(admitted: readonly VerifiedEvent[], traceparent: string | undefined): Promise<EventReceived[]> {
    const events: EventReceived[] = [];
    for (const one of admitted) events.push(toEventReceived(one, await one.source.fields.read(one.input)));
    const options = { traceparent, isChecked: true, maxBytes: maxEventRecordBytes };
    const appends = events.map((event) => this.producer.append(eventTopics[event.lane], EventReceived, event, options));
    await (appends.length === 1 ? appends[0] : Promise.all(appends));
    for (const [at, event] of events.entries()) eventsReceived.inc({ scheme: admitted[at]!.source.scheme, lane: event.lane });
    return events;
  }
}

/** The result always passes the check of {@link EventReceived}, so the producer does not check it again before the ack. */
export function toEventReceived({ source, payload, text, contentType, receivedAtMs }: VerifiedEvent, fields: EventFields): EventReceived {
  for (const fact of eventFields) {
    if (fields[fact] !== null) continue;
    const reason = fields.problems[fact] ?? 'absent';
    const isUsual = fact === 'occurredAt' && reason === 'absent'; // many partners send no time
    if (!isUsual) fieldsMissing.inc({ scheme: source.scheme, fact, reason });
  }
  const type = fields.type ?? unknownType;
  const receivedAt = timestamp(receivedAtMs);
  return {
    eventId: eventId(source.tenant, source.name, fields.eventId === null ? { body: payload } : { providerEventId: fields.eventId }),
    tenant: source.tenant,
    source: source.name,
    customer: fields.customer ?? unnamedCustomer(source.name),
    lane: source.laneOf(type),
    type,
    providerEventId: fields.eventId,
    occurredAt: fields.occurredAt ?? receivedAt,
    receivedAt,
    contentType,
    ...(text === undefined ? asText(payload) : { body: text }),
  };
}

let latest = { ms: NaN, text: '' };

/** RFC 3339. Requests of one millisecond share the text, because making it is the largest cost of an event here. */
function timestamp(ms: number): string {
  if (latest.ms !== ms) latest = { ms, text: new Date(ms).toISOString() };
  return latest.text;
}

/** The payload as text if it is UTF-8 without control characters, which JSON would write at six times their length; else as base64. */
function asText(payload: Buffer): { body: string } | { bodyBase64: string } {
  if (isUtf8(payload)) {
    const body = payload.toString('utf8');
    // eslint-disable-next-line no-control-regex
    if (!/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(body)) return { body };
  }
  return { bodyBase64: payload.toString('base64') };
}
