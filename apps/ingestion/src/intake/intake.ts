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
  /** The payload as {@link Reading} has it. */
  text: string | undefined;
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
    const options = { traceparent, isChecked: true };
    const appends = events.map((event) => this.producer.append(eventTopics[event.lane], EventReceived, event, options));
    await (appends.length === 1 ? appends[0] : Promise.all(appends));
    for (const [at, event] of events.entries()) eventsReceived.inc({ scheme: admitted[at]!.source.scheme, lane: event.lane });
    return events;
  }
}

/** Its result fits the check of {@link EventReceived}, so that an ack need not wait for it. */
export function decide({ source, payload, text, contentType, receivedAtMs }: Admitted, facts: Facts): EventReceived {
  for (const fact of ['eventId', 'type', 'customer'] as const) {
    if (facts[fact] === null) factsMissing.inc({ scheme: source.scheme, fact, reason: facts.failed.includes(fact) ? 'failed' : 'absent' });
  }
  const type = facts.type ?? unknownType;
  const receivedAt = timestamp(receivedAtMs);
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
    ...(text === undefined ? asText(payload) : { body: text }),
  };
}

let latest = { ms: NaN, text: '' };

/** RFC 3339. Requests of one millisecond share it: it costs more than anything else that is decided about them. */
function timestamp(ms: number): string {
  if (latest.ms !== ms) latest = { ms, text: new Date(ms).toISOString() };
  return latest.text;
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
