import { typeMatcher } from '#libs/contracts';
import type { EventReceived, Lane, SourceSpec } from '#libs/contracts';
import { counter } from '#libs/tracing';
import { eventReceived } from './event-appender.js';
import { eventFields } from './event-fields.js';
import type { EventFields } from './event-fields.js';

/** The part of a source or pull that all of its events have in common. */
export interface EventOrigin {
  readonly tenant: string;
  /** The name of its document. */
  readonly name: string;
  /** The scheme of a source, or `pull`. */
  readonly scheme: string;
  readonly laneOf: (type: string) => Lane;
}

/** An event before its fields were read. */
export interface UnreadEvent {
  readonly source: EventOrigin;
  /** The bytes of the event. */
  readonly payload: Buffer;
  /** The payload as text, if it is known to be text without control characters. */
  readonly text: string | undefined;
  readonly contentType: string;
  readonly receivedAtMs: number;
}

const fieldsMissing = counter(
  'millrace_event_facts_missing_total',
  'Events of which a fact could not be read: `absent` where no expression found a value, `unusable` where the value found is no such fact, `failed` where an expression failed.',
  { scheme: 'the scheme of the source, or `pull`', fact: 'such as `customer` or `type`', reason: '`absent`, `unusable` or `failed`' },
);

/** The type of an event without a usable type. */
const unknownType = 'unknown';

/** The result always passes the check of its record, so the producer does not check it again before the ack. */
export function eventOf({ source, payload, text, contentType, receivedAtMs }: UnreadEvent, fields: EventFields): EventReceived {
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

/** The lane of an event by its type: the first rule that fits. */
export function laneOf(spec: SourceSpec['lane']): (type: string) => Lane {
  const rules = spec.rules.map(({ types, lane }) => ({ fits: typeMatcher(types), lane }));
  return (type) => rules.find(({ fits }) => fits(type))?.lane ?? spec.default;
}
