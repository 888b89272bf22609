import { counted } from './counted.js';
import { randomUUID } from 'node:crypto';
import { createClient } from 'graphql-ws';
import { delayBefore, standardRetry } from '#libs/retries';
import { sleep } from '#libs/time';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask, askPages, credentialHeaders } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, failureOf, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

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

/** Close codes after which a reconnect cannot succeed; the reason is the code of the failure. */
const refusalCodes: readonly (number | undefined)[] = [4401, 4403];

/**
 * `millrace events tail`: prints a line per change until `signal`. A lost connection is made again. If the first connection fails, the command fails,
 * because then the address is more likely wrong than the server away.
 */
export async function tail(
  connection: Connection,
  filter: { customer?: string; type?: string },
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  const url = new URL('/graphql', connection.url);
  url.protocol = url.protocol.replace('http', 'ws');
  const refusedBy = (event: unknown): CliFailure | undefined => {
    const { code, reason } = event as { code?: number; reason?: string };
    return refusalCodes.includes(code)
      ? failureOf(connection, { code: reason, message: reason ?? '', field: 'millrace-tenant' })
      : undefined;
  };
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
        output.note(`Listening at ${connection.url}; Ctrl-C ends it.`);
      },
      closed: (event) => {
        if (state !== 'connected' || signal.aborted || refusedBy(event) !== undefined) return;
        state = 'lost';
        output.note('The connection is lost; trying again.');
      },
    },
  });
  const changes = client.iterate<{ eventChanged: EventChange }>({ query: eventChanged, variables: { filter } });
  signal.addEventListener('abort', () => void changes.throw?.(signal.reason), { once: true });
  try {
    for await (const { data, errors } of changes) {
      if (errors !== undefined) throw refusalIn(connection, errors);
      if (data) output.result(data.eventChanged, lineOf(data.eventChanged));
    }
  } catch (error) {
    if (signal.aborted) return;
    const refusal = refusedBy(error);
    if (state === 'never' && refusal === undefined && !Array.isArray(error)) await sayWhyNot(connection, url);
    throw Array.isArray(error) ? refusalIn(connection, error as SubscriptionError[]) : (refusal ?? error);
  } finally {
    Promise.resolve(client.dispose()).catch(() => undefined); // it passes on how a connection failed that was being made
  }
}

type SubscriptionError = { message: string; extensions?: Record<string, unknown> | undefined };

function refusalIn(connection: Connection, [error]: readonly SubscriptionError[]): CliFailure {
  const { code, argument } = error!.extensions ?? {};
  return failureOf(connection, {
    code: code as string | undefined,
    message: error!.message,
    field: argument as string | undefined,
  });
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

const eventFields = 'id type source state lane providerEventId isTest schemaProblem occurredAt receivedAt customer { key }';

interface ListedEvent {
  id: string;
  type: string;
  source: string;
  state: string;
  receivedAt: string;
  isTest: boolean;
  schemaProblem: string | null;
  customer: { key: string };
  hold: { reason: string; deadLetter: { id: string } | null } | null;
}

/** The filter of `millrace events list`, by its options. */
export interface EventListOptions {
  customer?: string;
  source?: string[];
  type?: string;
  state?: string[];
  from?: string;
  before?: string;
  first: number;
}

const listed = `query Events($filter: EventFilter, $first: Int, $after: String) {
  page: events(first: $first, after: $after, filter: $filter) { nodes { ${eventFields} hold { reason deadLetter { id } } } pageInfo { hasNextPage endCursor } }
}`;

/** `millrace events list`: the newest that match, read page by page. */
export async function list(connection: Connection, options: EventListOptions, output: Output): Promise<void> {
  const { customer, source, type, state, from, before } = options;
  const filter = { customer, sources: source, type, states: state, receivedFrom: from, receivedBefore: before };
  const isMore = await askPages<ListedEvent>(connection, listed, { filter }, options.first, (event) =>
    output.result(event, listLineOf(event)),
  );
  if (isMore) output.note('There are more, older ones: --first prints more, --before older ones.');
}

function listLineOf(event: ListedEvent): string {
  const { id, type, source, state, receivedAt, customer } = event;
  return [receivedAt, id, state.padEnd(10), type, source, customer.key, ...marksOf(event), ...heldMark(event)].join('  ');
}

/** For a line of a list; `events get` says more. */
function heldMark({ hold }: ListedEvent): string[] {
  if (hold === null) return [];
  if (hold.reason === 'OVERFLOW') return ['held for lack of memory'];
  return [hold.deadLetter === null ? 'held' : `held behind ${hold.deadLetter.id}`];
}

function marksOf({ isTest, schemaProblem }: Omit<ListedEvent, 'hold'>): string[] {
  return [...(isTest ? ['test'] : []), ...(schemaProblem === null ? [] : [`does not fit: ${schemaProblem}`])];
}

interface EventWithTimeline extends Omit<ListedEvent, 'hold'> {
  timeline: { at: string; title: string; code: string | null }[];
  hold: { reason: string; heldRecords: number; deadLetter: { id: string; event: { id: string } | null } | null } | null;
}

const timeline = `query Event($id: ID!) { event(id: $id) { ${eventFields} data timeline { at kind title code }
  hold { reason heldRecords deadLetter { id event { id } } } } }`;

/** `millrace events get`: the event, everything that happened to it, and behind which dead letter it waits. */
export async function show(connection: Connection, id: string, output: Output): Promise<void> {
  const { event } = await ask<{ event: EventWithTimeline | null }>(connection, timeline, { id });
  if (event === null) throw new CliFailure(`There is no event ${id}`, 'refused', 'event.unknown');
  output.result(event, timelineOf(event));
}

function timelineOf(event: EventWithTimeline): string {
  const { id, type, source, state, customer, timeline: entries } = event;
  return [
    `${id}  ${type}  from ${source}  about ${customer.key}  ${[state, ...marksOf(event)].join('  ')}`,
    ...entries.map(({ at, title, code }) => `  ${at}  ${title}${code === null ? '' : `  [${code}]`}`),
    ...(event.hold === null ? [] : [`  ${waitOf(event.hold)}`]),
  ].join('\n');
}

function waitOf({ reason, heldRecords, deadLetter }: NonNullable<EventWithTimeline['hold']>): string {
  if (reason === 'OVERFLOW')
    return `held: ${counted(heldRecords, 'record')} of its customer are more than memory has room for; it goes on by itself`;
  if (deadLetter === null) return 'held behind a dead letter that is not stored yet';
  const { id, event } = deadLetter;
  const held = `held behind ${id}${event === null ? '' : ` of ${event.id}`}, which holds ${counted(heldRecords, 'record')}`;
  return `${held}: settle it with millrace dead-letters retry ${id}, or millrace dead-letters skip ${id}`;
}

const replayed = `mutation Replay($input: ReplayEventsInput!) {
  replayed: replayEvents(input: $input) { __typename ... on ReplayEventsSuccess { commandIds events { id state } } ${refusals} }
}`;

/** `millrace events replay`: runs flows again on events, whatever their state. */
export async function replayEvents(
  connection: Connection,
  ids: readonly string[],
  { flow }: { readonly flow?: string },
  output: Output,
): Promise<void> {
  type Replayed = { __typename: 'ReplayEventsSuccess'; commandIds: string[]; events: { id: string; state: string }[] };
  const input = { ids, flow, idempotencyKey: randomUUID() };
  const answer = await ask<{ replayed: Replayed | Refusal }>(connection, replayed, { input });
  const { commandIds, events } = accepted(connection, answer.replayed);
  for (const [at, { id, state }] of events.entries())
    output.result({ commandId: commandIds[at], id, state }, `${id} is replayed; millrace events get ${id} shows what comes of it.`);
}
