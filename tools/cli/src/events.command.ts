import { createClient } from 'graphql-ws';
import type { Connection } from './connection.js';
import { Failure } from './failure.js';
import { ask, credentialHeaders } from './graphql.client.js';

interface EventChange {
  change: string;
  at: string;
  code: string | null;
  event: { id: string; type: string; source: string; customer: { key: string } };
}

const eventChanged = `subscription Tail($filter: EventChangeFilter!) {
  eventChanged(filter: $filter) { change at code event { id type source customer { key } } }
}`;

/** The server says that it will not have us: coming back would change nothing. */
const refusals: Record<number, string> = { 4401: 'The API key is unknown, revoked or expired', 4403: 'The API key may not read events' };

/** `millrace events tail`: a line per change until `signal`; a connection that breaks is made again. */
export async function tail(
  connection: Connection,
  filter: { customer?: string; type?: string },
  { print, note, signal }: { print: (line: string) => void; note: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const url = new URL('/graphql', connection.url);
  url.protocol = url.protocol.replace('http', 'ws');
  const refusedBy = (event: unknown): string | undefined => refusals[(event as { code?: number }).code ?? 0];
  const client = createClient({
    url: url.href,
    connectionParams: credentialHeaders(connection),
    keepAlive: 10_000,
    retryAttempts: Infinity,
    shouldRetry: (event) => refusedBy(event) === undefined,
    on: {
      connected: () => note(`Listening at ${connection.url}; Ctrl-C ends it.`),
      closed: (event) => signal.aborted || refusedBy(event) !== undefined || note('The connection is lost; trying again.'),
    },
  });
  signal.addEventListener('abort', () => void client.dispose(), { once: true });
  try {
    for await (const { data, errors } of client.iterate<{ eventChanged: EventChange }>({ query: eventChanged, variables: { filter } })) {
      if (errors !== undefined) throw new Failure(errors[0]!.message, 'refused');
      if (data) print(lineOf(data.eventChanged));
    }
  } catch (error) {
    if (signal.aborted) return;
    throw asFailure(error, refusedBy(error));
  } finally {
    await client.dispose();
  }
}

function asFailure(error: unknown, refusal: string | undefined): unknown {
  if (refusal !== undefined) return new Failure(refusal, 'unusable');
  return Array.isArray(error) ? new Failure((error as Error[]).map(({ message }) => message).join('\n'), 'refused') : error;
}

function lineOf({ change, at, code, event }: EventChange): string {
  return [at, change.padEnd(9), event.id, event.type, event.source, event.customer.key, ...(code === null ? [] : [code])].join('  ');
}

interface Timeline {
  event: {
    id: string;
    type: string;
    source: string;
    state: string;
    customer: { key: string };
    timeline: { at: string; title: string; code: string | null }[];
  } | null;
}

const timeline = `query Event($id: ID!) { event(id: $id) { id type source state customer { key } timeline { at title code } } }`;

/** `millrace events get`: the event and everything that happened to it. */
export async function show(connection: Connection, id: string, print: (line: string) => void): Promise<void> {
  const { event } = await ask<Timeline>(connection, timeline, { id });
  if (event === null) throw new Failure(`There is no event ${id}`, 'refused');
  print(`${event.id}  ${event.type}  from ${event.source}  about ${event.customer.key}  ${event.state}`);
  for (const { at, title, code } of event.timeline) print(`  ${at}  ${title}${code === null ? '' : `  [${code}]`}`);
}
