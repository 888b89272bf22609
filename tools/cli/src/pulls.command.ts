import { counted } from './counted.js';
import { randomUUID } from 'node:crypto';
import type { Connection } from './connection.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface PulledList {
  name: string;
  connection: string;
  operation: string;
  state: 'WORKING' | 'RETRYING' | 'NEEDS_CONSENT' | 'REFUSED';
  cursor: string | null;
  passStartedAt: string | null;
  nextAt: string | null;
  lastSuccessAt: string | null;
  items: number;
  repeated: number;
  skipped: number;
  failures: number;
  lastFailure: { at: string; code: string; message: string } | null;
}

const query = `{ pulls { name connection operation state cursor cursorMovedAt passStartedAt nextAt lastSuccessAt pages items repeated skipped lastEventId
  failures lastFailure { at code message } } }`;
const startOne = `mutation Start($input: StartPullInput!) {
  started: startPull(input: $input) { __typename ... on StartPullSuccess { commandId } ${refusals} }
}`;

/** `millrace pulls`: each with how far it is and its last failure. */
export async function pulls(connection: Connection, output: Output): Promise<void> {
  for (const pull of (await ask<{ pulls: PulledList[] }>(connection, query)).pulls) {
    const { name, operation, state, cursor, passStartedAt, nextAt, lastSuccessAt, items, skipped, failures, lastFailure } = pull;
    const line = [
      name,
      `${operation} of ${pull.connection}`,
      state,
      counted(items, 'item'),
      ...(skipped === 0 ? [] : [`${skipped} skipped`]),
      ...(cursor === null ? [] : [`cursor ${cursor}`]),
      lastSuccessAt === null ? 'has not reached the end' : `at the end ${lastSuccessAt}`,
      ...(passStartedAt === null ? [] : [`reads since ${passStartedAt}`]),
      ...(nextAt === null ? [] : [`next ${nextAt}`]),
      ...(failures === 0 || lastFailure === null
        ? []
        : [`failed ${counted(failures, 'time')}, last ${lastFailure.at} ${lastFailure.code}: ${lastFailure.message}`]),
    ];
    output.result(pull, line.join('  '));
  }
}

/** `millrace pulls start`: begins a pass of the pull now. */
export async function startPull(connection: Connection, given: { name: string; fromBeginning: boolean }, output: Output): Promise<void> {
  const input = { ...given, idempotencyKey: randomUUID() };
  const { started } = await ask<{ started: { __typename: 'StartPullSuccess'; commandId: string } | Refusal }>(connection, startOne, {
    input,
  });
  const { commandId } = accepted(connection, started);
  output.result({ name: given.name, commandId }, commandId);
}
