import { isUtf8 } from 'node:buffer';
import { Injectable } from '@nestjs/common';
import { EventReceived, eventId, eventTopics, noCustomer } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { counter } from '#libs/tracing';
import type { Arrival, Facts } from '../sources/facts.js';
import type { Source } from '../sources/source-catalog.js';

/** A request, or one event of a batch, that may come in. */
export interface Admitted {
  source: Source;
  /** What the source's expressions see. */
  arrival: Arrival;
  /** The bytes that are the event, and what they are. */
  payload: Buffer;
  contentType: string;
  receivedAtMs: number;
}

const eventsReceived = counter('millrace_events_received_total', 'Events appended to the log.', ['scheme', 'lane']);
const factsMissing = counter(
  'millrace_event_facts_missing_total',
  'Events of which a fact could not be read: `absent` where nothing usable stood there, `failed` where the source’s expression failed.',
  ['scheme', 'fact', 'reason'],
);

/** The type of an event whose source names none. */
const unknownType = 'unknown';

/** Decides what an event is: its identity, customer, type and lane. Both doors come through here. */
@Injectable()
export class Intake {
  constructor(private readonly producer: RecordProducer) {}

  /**
   * Resolves when the log has all of them on all in-sync replicas (promise 1). All are decided before the first is appended, in the order
   * given, so events of one customer stand in it.
   * @throws LogUnavailable: some may have been stored; sent again, they are the same events
   */
  async accept(admitted: readonly Admitted[], traceparent: string | undefined): Promise<EventReceived[]> {
    const events: EventReceived[] = [];
    for (const one of admitted) events.push(decide(one, await one.source.facts.read(one.arrival)));
    const options = traceparent === undefined ? {} : { traceparent };
    await Promise.all(events.map((event) => this.producer.append(eventTopics[event.lane], EventReceived, event, options)));
    for (const [at, event] of events.entries()) eventsReceived.inc({ scheme: admitted[at]!.source.scheme, lane: event.lane });
    return events;
  }
}

function decide({ source, payload, contentType, receivedAtMs }: Admitted, facts: Facts): EventReceived {
  for (const fact of ['eventId', 'type', 'customer'] as const) {
    if (facts[fact] === null) factsMissing.inc({ scheme: source.scheme, fact, reason: facts.failed.includes(fact) ? 'failed' : 'absent' });
  }
  const type = facts.type ?? unknownType;
  const receivedAt = new Date(receivedAtMs).toISOString();
  return {
    eventId: eventId(source.tenant, source.name, facts.eventId === null ? { body: payload } : { providerEventId: facts.eventId }),
    tenant: source.tenant,
    source: source.name,
    customer: facts.customer ?? noCustomer,
    lane: source.laneOf(type),
    type,
    providerEventId: facts.eventId,
    occurredAt: facts.occurredAt ?? receivedAt,
    receivedAt,
    contentType,
    ...asText(payload),
  };
}

/** Text where it is text: UTF-8 without control characters, which JSON would write at six times their length. */
function asText(payload: Buffer): { body: string } | { bodyBase64: string } {
  if (isUtf8(payload)) {
    const body = payload.toString('utf8');
    // eslint-disable-next-line no-control-regex
    if (!/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.test(body)) return { body };
  }
  return { bodyBase64: payload.toString('base64') };
}
