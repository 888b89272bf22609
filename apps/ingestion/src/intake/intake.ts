import { Injectable } from '@nestjs/common';
import type { EventReceived } from '#libs/contracts';
import { EventAppender, eventReceived } from '#libs/intake';
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
  constructor(private readonly appender: EventAppender) {}

  /**
   * Resolves when the log has all events on all in-sync replicas (promise 1). Nothing is appended before the fields of all events were read,
   * so the events of one customer are appended in the order given.
   * @throws LogUnavailable some events may have been stored; if they are sent again, they are the same events
   */
  async accept(admitted: readonly VerifiedEvent[], traceparent: string | undefined): Promise<EventReceived[]> {
    const events: EventReceived[] = [];
    for (const one of admitted) events.push(toEventReceived(one, await one.source.fields.read(one.input)));
    await this.appender.append(events, (at) => admitted[at]!.source.scheme, traceparent);
    return events;
  }
}

/** The result always passes the check of its record, so the producer does not check it again before the ack. */
export function toEventReceived({ source, payload, text, contentType, receivedAtMs }: VerifiedEvent, fields: EventFields): EventReceived {
  for (const fact of eventFields) {
    if (fields[fact] !== null) continue;
    const reason = fields.problems[fact] ?? 'absent';
    const isUsual = fact === 'occurredAt' && reason === 'absent'; // many partners send no time
    if (!isUsual) fieldsMissing.inc({ scheme: source.scheme, fact, reason });
  }
  const { tenant, name } = source;
  const { customer, occurredAt, eventId: providerEventId } = fields;
  const type = fields.type ?? unknownType;
  const lane = source.laneOf(type);
  return eventReceived({
    tenant,
    source: name,
    customer,
    lane,
    type,
    providerEventId,
    occurredAt,
    receivedAtMs,
    contentType,
    payload,
    text,
  });
}
