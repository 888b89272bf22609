import { randomUUID } from 'node:crypto';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
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

const fields = `id flow flowVersion generation state startedAt errorCode errorMessage defaultReason
  waits { step forEvent dueAt endedAt } waitingFor { step code message budget since until }`;
const listed = `query Runs($filter: RunFilter, $first: Int, $after: String) {
  page: runs(first: $first, after: $after, filter: $filter) {
    nodes { ${fields} event { id customer { key } } }
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

interface Step {
  id: string;
  kind: string;
  state: string;
  output: unknown;
  failure: { code: string; message: string } | null;
  finishedAt: string;
}

interface WholeRun extends Run {
  decision: unknown;
  finishedAt: string | null;
  steps: Step[];
  costs: { amount: string; currency: string }[];
  deliveries: { id: string; destination: string; state: string }[];
  reviews: { id: string; step: string; state: string }[];
  event: Run['event'] & {
    type: string;
    source: string;
    timeline: { at: string; title: string; code: string | null; runId: string | null }[];
  };
}

const one = `query Run($id: ID!) {
  run(id: $id) {
    ${fields} decision decideBy finishedAt traceId costs { amount currency } deliveries { id destination state } reviews { id step state }
    steps { id kind state output failure { code message } startedAt finishedAt }
    event { id type source customer { key } timeline { at kind title code runId step deliveryId attempt } }
  }
}`;

/** `millrace runs get`: one with its steps and what happened in it. */
export async function showRun(connection: Connection, id: string, output: Output): Promise<void> {
  const { run } = await ask<{ run: WholeRun | null }>(connection, one, { id });
  if (run === null) throw new CliFailure(`There is no run ${id}`, 'refused', 'run.unknown');
  const { timeline, ...event } = run.event;
  const ofRun = timeline.filter(({ runId }) => runId === id);
  output.result({ ...run, event, timeline: ofRun }, wholeOf(run, ofRun));
}

function wholeOf(run: WholeRun, timeline: WholeRun['event']['timeline']): string {
  const { event, decision, finishedAt, costs, deliveries, reviews, steps } = run;
  return [
    lineOf(run),
    `  event     ${event.type}  from ${event.source}`,
    ...(finishedAt === null ? [] : [`  ended     ${finishedAt}`]),
    ...(decision === null ? [] : [`  decision  ${JSON.stringify(decision)}`]),
    ...costs.map(({ amount, currency }) => `  cost      ${amount} ${currency}`),
    ...reviews.map((review) => `  review    ${review.id}  at ${review.step}  ${review.state}`),
    ...deliveries.map((delivery) => `  delivery  ${delivery.id}  to ${delivery.destination}  ${delivery.state}`),
    'steps',
    ...steps.map(stepOf),
    'timeline',
    ...timeline.map(({ at, title, code }) => `  ${at}  ${title}${code === null ? '' : `  [${code}]`}`),
  ].join('\n');
}

function stepOf({ id, kind, state, output, failure, finishedAt }: Step): string {
  const words = [finishedAt, id, kind.toLowerCase(), state.toLowerCase()];
  if (failure !== null) words.push(`${failure.code}: ${failure.message}`);
  if (output !== null) words.push(JSON.stringify(output));
  return `  ${words.join('  ')}`;
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
    `${id} ends as soon as no process works on it, and decides nothing; millrace runs shows when it has.`,
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
