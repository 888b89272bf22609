import { randomUUID } from 'node:crypto';
import { sleep } from '#libs/time';
import type { Connection } from './connection.js';
import { counted } from './counted.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';
import { requireTenant } from './tenants.command.js';

/** The options of `replay` and `redeliver`. */
export interface BulkOptions {
  from?: string;
  before?: string;
  customer?: string;
  flow?: string;
  destination?: string;
  code?: string;
  source?: string[];
  type?: string;
  state?: string[];
  events?: boolean;
  rate: number;
  dryRun: boolean;
  wait: boolean;
}

/** Prints, and ends the waiting when `signal` aborts. */
interface Watched {
  output: Output;
  signal: AbortSignal;
}

interface Count {
  value: number;
  exact: boolean;
}

/** Items for which nothing is ordered. */
interface LeftOut {
  code: string;
  count: number;
}

interface Ordered {
  __typename: 'BulkReplaySuccess' | 'BulkRedeliverSuccess';
  matched: Count;
  leftOut?: LeftOut[];
  operationId: string | null;
}

const bulkReplay = `mutation Replay($input: BulkReplayInput!) {
  bulk: bulkReplay(input: $input) { __typename ... on BulkReplaySuccess { matched { value exact } operationId } ${refusals} }
}`;
const bulkRedeliver = `mutation Redeliver($input: BulkRedeliverInput!) {
  bulk: bulkRedeliver(input: $input) { __typename ... on BulkRedeliverSuccess { matched { value exact } leftOut { code count } operationId } ${refusals} }
}`;

/** `millrace replay`: replays the events of open dead letters with the flow that was given up; with --events, the events that match. */
export function replay(connection: Connection, options: BulkOptions, watched: Watched): Promise<void> {
  const { from, before, customer, flow, code, source, type, state } = options;
  if (options.events === true) refuse({ '--code': code }, 'goes with what was given up, not with --events');
  else refuse({ '--source': source, '--type': type, '--state': state }, 'goes with --events');
  const chosen =
    options.events === true
      ? { filter: { events: { customer, sources: source, type, states: state, receivedFrom: from, receivedBefore: before } }, flow }
      : { filter: { deadLetters: { customer, code, flow, createdFrom: from, createdBefore: before } } };
  return carryOut(connection, { mutation: bulkReplay, noun: 'event', deed: 'replayed' }, chosen, options, watched);
}

/** `millrace redeliver`: redelivers deliveries with an open dead letter; with --state, those in that state. */
export function redeliver(connection: Connection, options: BulkOptions, watched: Watched): Promise<void> {
  const { from, before, customer, flow, destination, code } = options;
  const [state] = options.state ?? [];
  if (state !== undefined) refuse({ '--code': code }, 'goes with what was parked, not with --state');
  const common = { customer, flow, destination, createdFrom: from, createdBefore: before };
  const chosen = { filter: state === undefined ? { deadLetters: { ...common, code } } : { deliveries: { ...common, state } } };
  return carryOut(connection, { mutation: bulkRedeliver, noun: 'delivery', deed: 'redelivered' }, chosen, options, watched);
}

/** Refuses options that would be ignored: more items than intended would match. @throws CliFailure */
function refuse(options: Record<string, unknown>, reason: string): void {
  const given = Object.keys(options).filter((option) => options[option] !== undefined);
  if (given.length > 0) throw new CliFailure(`${given.join(', ')} ${reason}`, 'unusable');
}

async function carryOut(
  connection: Connection,
  { mutation, noun, deed }: { mutation: string; noun: string; deed: string },
  chosen: object,
  { rate, dryRun, wait }: BulkOptions,
  { output, signal }: Watched,
): Promise<void> {
  const input = { ...chosen, ratePerSecond: rate, dryRun, idempotencyKey: randomUUID() };
  const { bulk } = await ask<{ bulk: Ordered | Refusal }>(connection, mutation, { input });
  const { matched, leftOut = [], operationId } = accepted(connection, bulk);
  if (matched.value === 0) await requireTenant(connection);
  const found = `${matched.exact ? '' : 'at least '}${counted(matched.value - sumOf(leftOut), noun)}`;
  const counts = { matched, ...(leftOut.length > 0 && { leftOut }) };
  if (operationId === null) {
    output.result(counts, `${found} would be ${deed}.`);
  } else {
    output.result({ operationId, ...counts }, operationId);
    output.note(`${found} will be ${deed}; millrace operations cancel ${operationId} stops it.`);
  }
  for (const { code, count } of leftOut) output.note(`${counted(count, noun)} left out: ${whyLeftOut[code] ?? code}`);
  if (operationId !== null && wait) await follow(connection, operationId, { output, signal });
}

/** By the code of the reason. */
const whyLeftOut: Readonly<Record<string, string>> = {
  'delivery.secondEffect':
    'the destination took or may have taken them, and may act a second time (delivery.secondEffect). Ask it which it has: millrace dead-letters skip those, and millrace deliveries redeliver dlv_… --even-if-taken sends one of the others.',
  'delivery.superseded': 'a newer delivery sets their object (delivery.superseded): millrace dead-letters skip settles them.',
};

function sumOf(leftOut: readonly LeftOut[]): number {
  return leftOut.reduce((sum, { count }) => sum + count, 0);
}

interface Operation {
  id: string;
  kind: string;
  state: string;
  total: Count | null;
  done: number;
  failed: number;
  leftOut: LeftOut[];
  ratePerSecond: number;
  actor: string;
  startedAt: string;
  errorMessage: string | null;
}

const fields = 'id kind state total { value exact } done failed leftOut { code count } ratePerSecond actor startedAt errorMessage';
const one = `query Operation($id: ID!) { bulkOperation(id: $id) { ${fields} } }`;
const many = `query Operations { bulkOperations(first: 20) { nodes { ${fields} } } }`;
const cancelOne = `mutation Cancel($input: CancelBulkOperationInput!) {
  bulk: cancelBulkOperation(input: $input) { __typename ... on CancelBulkOperationSuccess { operation { ${fields} } } ${refusals} }
}`;

const lookEveryMs = 500;

/**
 * Prints each change of the operation until it has ended. Ctrl-C ends the waiting, not the operation.
 * @throws CliFailure if it did not complete
 */
async function follow(connection: Connection, id: string, { output, signal }: Watched): Promise<void> {
  for (let told = ''; ;) {
    const { bulkOperation: operation } = await ask<{ bulkOperation: Operation | null }>(connection, one, { id });
    const line = operation === null ? `${id}  waits to be started` : progressOf(operation);
    if (operation !== null && operation.state !== 'RUNNING') {
      if (operation.state !== 'COMPLETED') throw new CliFailure(line, 'refused');
      return output.result(operation, line);
    }
    if (line !== told) output.note(line);
    told = line;
    await sleep(lookEveryMs, signal).catch(() => undefined);
    if (signal.aborted) return output.note(`${id} goes on.`);
  }
}

function progressOf({ id, kind, state, total, done, failed, leftOut, errorMessage }: Operation): string {
  const of = total === null ? '?' : `${total.exact ? '' : 'at least '}${total.value}`;
  return [
    id,
    kind,
    state,
    `${done} of ${of}`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...leftOut.map(({ code, count }) => `${count} left out (${code})`),
    ...(errorMessage === null ? [] : [errorMessage]),
  ].join('  ');
}

/** `millrace operations`: lists the newest twenty. */
export async function operations(connection: Connection, output: Output): Promise<void> {
  const { bulkOperations } = await ask<{ bulkOperations: { nodes: Operation[] } }>(connection, many);
  for (const operation of bulkOperations.nodes) {
    output.result(operation, `${operation.startedAt}  ${progressOf(operation)}  by ${operation.actor}`);
  }
}

/** `millrace operations cancel`: cancels one. */
export async function cancel(connection: Connection, id: string, output: Output): Promise<void> {
  const input = { id, idempotencyKey: randomUUID() };
  type Cancelled = { __typename: 'CancelBulkOperationSuccess'; operation: Operation };
  const { bulk } = await ask<{ bulk: Cancelled | Refusal }>(connection, cancelOne, { input });
  const { operation } = accepted(connection, bulk);
  output.result(
    operation,
    operation.state === 'RUNNING' ? `${id} is being cancelled.` : `${progressOf(operation)}: there is nothing left to cancel.`,
  );
}
