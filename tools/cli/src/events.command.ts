import { createClient } from 'graphql-ws';
import { delayBefore, standardRetry } from '#libs/retries';
import { sleep } from '#libs/time';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
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

/** The standard retries with a shorter cap, because a person waits. */
const retryPolicy = { ...standardRetry, maxDelayMs: 10_000 };

/** Close codes after which a reconnect cannot succeed, with their reasons. */
const refusals: Record<number, string> = { 4401: 'The API key is unknown, revoked or expired', 4403: 'The API key may not read events' };

/**
 * `millrace events tail`: prints a line per change until `signal`. A lost connection is made again. If the first connection fails, the command fails,
 * because then the address is more likely wrong than the server away.
 */
export async function tail(
  connection: Connection,
  filter: { customer?: string; type?: string },
  { print, note, signal }: { print: (line: string) => void; note: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const url = new URL('/graphql', connection.url);
  url.protocol = url.protocol.replace('http', 'ws');
  const refusedBy = (event: unknown): string | undefined => refusals[(event as { code?: number }).code ?? 0];
  let state: 'never' | 'connected' | 'lost' = 'never';
  const client = createClient({
    url: url.href,
    connectionParams: credentialHeaders(connection),
    keepAlive: 10_000,
    retryAttempts: Infinity,
    retryWait: (retries) => sleep(delayBefore(retryPolicy, retries + 1), signal).catch(() => undefined),
    shouldRetry: (event) => state !== 'never' && !signal.aborted && refusedBy(event) === undefined,
    on: {
      connected: () => {
        state = 'connected';
        note(`Listening at ${connection.url}; Ctrl-C ends it.`);
      },
      closed: (event) => {
        if (state !== 'connected' || signal.aborted || refusedBy(event) !== undefined) return;
        state = 'lost';
        note('The connection is lost; trying again.');
      },
    },
  });
  const changes = client.iterate<{ eventChanged: EventChange }>({ query: eventChanged, variables: { filter } });
  signal.addEventListener('abort', () => void changes.throw?.(signal.reason), { once: true });
  try {
    for await (const { data, errors } of changes) {
      if (errors !== undefined) throw new CliFailure(errors[0]!.message, 'refused');
      if (data) print(lineOf(data.eventChanged));
    }
  } catch (error) {
    if (signal.aborted) return;
    const refusal = refusedBy(error);
    if (state === 'never' && refusal === undefined && !Array.isArray(error)) await sayWhyNot(connection, url);
    throw asFailure(error, refusal);
  } finally {
    Promise.resolve(client.dispose()).catch(() => undefined); // it passes on how a connection failed that was being made
  }
}

function asFailure(error: unknown, refusal: string | undefined): unknown {
  if (Array.isArray(error)) return new CliFailure((error as Error[]).map(({ message }) => message).join('\n'), 'refused');
  return refusal === undefined ? error : new CliFailure(refusal, 'unusable');
}

/** A socket that cannot be opened does not say why; a request does. @throws CliFailure always */
async function sayWhyNot(connection: Connection, url: URL): Promise<never> {
  await ask(connection, '{ __typename }');
  throw new CliFailure(
    `Millrace answers at ${connection.url}, but no WebSocket can be opened at ${url.href}: a proxy may not pass them`,
    'unusable',
  );
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
  if (event === null) throw new CliFailure(`There is no event ${id}`, 'refused');
  print(`${event.id}  ${event.type}  from ${event.source}  about ${event.customer.key}  ${event.state}`);
  for (const { at, title, code } of event.timeline) print(`  ${at}  ${title}${code === null ? '' : `  [${code}]`}`);
}
