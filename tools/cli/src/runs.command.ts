import { randomUUID } from 'node:crypto';
import type { Connection } from './connection.js';
import { ask, askPages } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

/** The filter of `millrace runs`, by its options. */
export interface RunListOptions {
  customer?: string;
  flow?: string;
  state?: string;
  first: number;
}

interface Run {
  id: string;
  flow: string;
  flowVersion: number;
  generation: number;
  state: string;
  startedAt: string;
  errorCode: string | null;
  errorMessage: string | null;
  defaultReason: string | null;
  event: { id: string; customer: { key: string } };
  waits: { step: string; forEvent: boolean; dueAt: string; endedAt: string | null }[];
  waitingFor: { step: string | null; code: string; message: string; budget: string | null; since: string; until: string | null } | null;
}

const listed = `query Runs($filter: RunFilter, $first: Int, $after: String) {
  page: runs(first: $first, after: $after, filter: $filter) {
    nodes {
      id flow flowVersion generation state startedAt errorCode errorMessage defaultReason event { id customer { key } }
      waits { step forEvent dueAt endedAt } waitingFor { step code message budget since until }
    }
    pageInfo { hasNextPage endCursor }
  }
}`;

/** `millrace runs`: the last started first, with what those that do not go on wait for. */
export async function runs(connection: Connection, options: RunListOptions, output: Output): Promise<void> {
  const { first, state, ...filter } = options;
  const variables = { filter: { ...filter, state: state?.toUpperCase() } };
  const isMore = await askPages<Run>(connection, listed, variables, first, (run) => output.result(run, lineOf(run)));
  if (isMore) output.note('There are more, older ones: --first prints more.');
}

const cancelOne = `mutation Cancel($input: CancelRunInput!) {
  cancelled: cancelRun(input: $input) { __typename ... on CancelRunSuccess { commandId run { id state } } ${refusals} }
}`;

/** `millrace runs cancel`: ends a run that has not ended. */
export async function cancelRun(connection: Connection, id: string, { reason }: { reason?: string }, output: Output): Promise<void> {
  const input = { id, reason, idempotencyKey: randomUUID() };
  type Cancelled = { __typename: 'CancelRunSuccess'; commandId: string; run: { id: string; state: string } };
  const { cancelled } = await ask<{ cancelled: Cancelled | Refusal }>(connection, cancelOne, { input });
  output.result(
    accepted(connection, cancelled),
    `${id} ends as soon as no process works on it, without effects; millrace runs shows when it has.`,
  );
}

function lineOf(run: Run): string {
  const { id, flow, flowVersion, generation, state, startedAt, event } = run;
  return [startedAt, id, `${flow} ${flowVersion}`, `generation ${generation}`, state, event.id, event.customer.key, ...reasonsOf(run)].join(
    '  ',
  );
}

function reasonsOf({ errorCode, errorMessage, defaultReason, waits, waitingFor }: Run): string[] {
  const open = waits.filter(({ endedAt }) => endedAt === null);
  return [
    ...(errorCode === null ? [] : [`${errorCode}: ${errorMessage}`]),
    ...(defaultReason === null ? [] : [`default decision: ${defaultReason}`]),
    ...open.map(({ step, forEvent, dueAt }) => `waits at ${step}${forEvent ? ' for an event' : ''} until ${dueAt}`),
    ...(waitingFor === null ? [] : [`has to wait since ${waitingFor.since}: ${waitingFor.message}  [${waitingFor.code}]`]),
  ];
}
