import { serverEvents } from '#libs/http';

/** One event of a stream of server-sent events. */
export interface ServerSentEvent {
  /** Undefined if the event has none of its own. */
  readonly id: string | undefined;
  readonly event: string;
  readonly data: unknown;
}

/** Reads server-sent events whose data is JSON. Ends when the body ends. @throws when the connection breaks */
export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  for await (const { id, event, data } of serverEvents(body)) yield { id, event, data: JSON.parse(data) as unknown };
}
