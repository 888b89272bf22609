import type { Json } from '#libs/json';
import { eventData } from './event-data.js';
import type { EventReceived } from './event-received.js';

/** An event as expressions see it, under the name `event`. */
export interface EventView {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly customer: string;
  readonly occurredAt: string;
  readonly receivedAt: string;
  /** True: a person sent a request again to see what follows. Absent otherwise. */
  readonly test?: true;
  /** The place and the reason where it does not fit the schema of its source. Absent where nothing is known to be wrong. */
  readonly schemaProblem?: string;
  /** The parsed body; null if it cannot be parsed as its content type. */
  readonly data: Json;
}

const fields = {
  id: true,
  type: true,
  source: true,
  customer: true,
  occurredAt: true,
  receivedAt: true,
  test: true,
  schemaProblem: true,
  data: true,
} satisfies Record<keyof EventView, true>;

/** The fields that expressions may read of `event`. */
export const eventViewFields: readonly string[] = Object.keys(fields);

export function viewOf(event: EventReceived): EventView {
  return {
    id: event.eventId,
    type: event.type,
    source: event.source,
    customer: event.customer,
    occurredAt: event.occurredAt,
    receivedAt: event.receivedAt,
    ...(event.isTest === true ? { test: true as const } : {}),
    ...(event.schemaProblem === undefined ? {} : { schemaProblem: event.schemaProblem }),
    data: dataOf(event),
  };
}

function dataOf(event: EventReceived): Json {
  try {
    return eventData(event);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
