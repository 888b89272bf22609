import { isUtf8 } from 'node:buffer';
import { Injectable } from '@nestjs/common';
import { EventReceived, eventId, eventTopics, unnamedCustomer } from '#libs/contracts';
import type { DecisionRequest, Lane } from '#libs/contracts';
import { RecordProducer, maxEventRecordBytes } from '#libs/messaging';
import { counter } from '#libs/tracing';

/** An event that is to be appended, whether a partner sent it or a schedule made it. */
export interface NewEvent {
  readonly tenant: string;
  /** The name of the document that the event comes from, by which flows name it. */
  readonly source: string;
  /** Null: the event belongs to its source, as {@link unnamedCustomer} says. */
  readonly customer: string | null;
  readonly lane: Lane;
  readonly type: string;
  /** The id by which a repeat is the same event. Null: the body identifies it. */
  readonly providerEventId: string | null;
  /** RFC 3339, UTC. Null: when it was received. */
  readonly occurredAt: string | null;
  readonly receivedAtMs: number;
  readonly contentType: string;
  /** The bytes of the event. */
  readonly payload: Buffer;
  /** The payload as text, if it is known to be text without control characters. */
  readonly text: string | undefined;
  /** The request for a decision that makes the event; its source is the flow, and it has an id. */
  readonly request?: DecisionRequest;
}

const eventsReceived = counter('millrace_events_received_total', 'Events appended to the log.', {
  scheme: 'the scheme of the source, `schedule`, `pull`, or `decision`',
  lane: 'the lane',
});

/** The record of an event. It always passes the check of {@link EventReceived} if the fields of the event do. */
export function eventReceived(event: NewEvent): EventReceived {
  const { tenant, source, customer, lane, type, providerEventId, occurredAt, receivedAtMs, contentType, payload, text, request } = event;
  const receivedAt = timestamp(receivedAtMs);
  return {
    eventId: eventId(tenant, source, identityOf(event)),
    tenant,
    source,
    customer: customer ?? unnamedCustomer(source),
    lane,
    type,
    providerEventId,
    occurredAt: occurredAt ?? receivedAt,
    receivedAt,
    contentType,
    ...(text === undefined ? asText(payload) : { body: text }),
    ...(request === undefined ? {} : { request }),
  };
}

function identityOf({ providerEventId, payload, request }: NewEvent): Parameters<typeof eventId>[2] {
  if (providerEventId === null) return { body: payload };
  return request === undefined ? { providerEventId } : { requestId: providerEventId };
}

/** The one way of events to the log. */
@Injectable()
export class EventAppender {
  constructor(private readonly producer: RecordProducer) {}

  /**
   * Resolves when the log has all events on all in-sync replicas (promise 1). Those of one customer are appended in the order given.
   * @param schemeOf the scheme of the source of the event at a place, for the metric
   * @throws LogUnavailable some events may have been stored; if they are appended again, they are the same events
   */
  async append(events: readonly EventReceived[], schemeOf: (at: number) => string, traceparent: string | undefined): Promise<void> {
    const options = { traceparent, isChecked: true, maxBytes: maxEventRecordBytes };
    const appends = events.map((event) => this.producer.append(eventTopics[event.lane], EventReceived, event, options));
    await (appends.length === 1 ? appends[0] : Promise.all(appends));
    for (const [at, { lane }] of events.entries()) eventsReceived.inc({ scheme: schemeOf(at), lane });
  }
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
