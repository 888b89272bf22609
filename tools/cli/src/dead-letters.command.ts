import { randomUUID } from 'node:crypto';
import type { Connection } from './connection.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface DeadLetter {
  id: string;
  kind: string;
  customer: string;
  code: string;
  message: string;
  position: string | null;
  createdAt: string;
  event: { id: string } | null;
  holds: { group: string; heldRecords: number }[];
}

const openOnes = `query DeadLetters($filter: DeadLetterFilter) {
  deadLetters(first: 20, filter: $filter) {
    nodes { id kind customer code message position createdAt event { id } holds { group heldRecords } }
    pageInfo { hasNextPage }
  }
}`;

/** `millrace dead-letters`: lists the newest twenty open ones, with the number of records that each holds, the failed one included. */
export async function openDeadLetters(
  connection: Connection,
  { customer, code }: { customer?: string; code?: string },
  output: Output,
): Promise<void> {
  type Page = { deadLetters: { nodes: DeadLetter[]; pageInfo: { hasNextPage: boolean } } };
  const { deadLetters } = await ask<Page>(connection, openOnes, { filter: { resolved: false, customer, code } });
  for (const letter of deadLetters.nodes) output.result(letter, lineOf(letter));
  if (deadLetters.pageInfo.hasNextPage) output.note('There are more, older ones.');
}

function lineOf({ id, kind, customer, code, message, position, createdAt, event, holds }: DeadLetter): string {
  const subject = event?.id ?? position;
  return [
    createdAt,
    id,
    kind,
    customer,
    ...(subject === null ? [] : [subject]),
    ...holds.map(({ group, heldRecords }) => `holds ${heldRecords} in ${group}`),
    `${code}: ${message}`,
  ].join('  ');
}

type Settled = { __typename: 'RetryDeadLetterSuccess' | 'SkipDeadLetterSuccess'; commandId: string };

const retry = `mutation Retry($input: SettleDeadLetterInput!) {
  settled: retryDeadLetter(input: $input) { __typename ... on RetryDeadLetterSuccess { commandId } ${refusals} }
}`;
const skip = `mutation Skip($input: SettleDeadLetterInput!) {
  settled: skipDeadLetter(input: $input) { __typename ... on SkipDeadLetterSuccess { commandId } ${refusals} }
}`;

/** `millrace dead-letters retry`: retries one. */
export async function retryDeadLetter(connection: Connection, id: string, output: Output): Promise<void> {
  output.result(
    await settle(connection, retry, id),
    `${id} is tried again. Once that succeeds, it is resolved and what waits behind it goes on.`,
  );
}

/** `millrace dead-letters skip`: skips one. */
export async function skipDeadLetter(connection: Connection, id: string, output: Output): Promise<void> {
  output.result(
    await settle(connection, skip, id),
    `${id} is given up for good: retries of it that wait are cancelled. What waits behind it goes on.`,
  );
}

async function settle(connection: Connection, mutation: string, id: string): Promise<{ id: string; commandId: string }> {
  const input = { id, idempotencyKey: randomUUID() };
  const { settled } = await ask<{ settled: Settled | Refusal }>(connection, mutation, { input });
  return { id, commandId: accepted(connection, settled).commandId };
}
