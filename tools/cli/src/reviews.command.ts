import { randomUUID } from 'node:crypto';
import { parseJson } from '#libs/json';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask, askPages } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface Review {
  id: string;
  flow: string;
  step: string;
  customer: string;
  state: string;
  priority: number;
  reason: string | null;
  askedAt: string;
  expiresAt: string;
  escalatedAt: string | null;
  claimedBy: string | null;
  claimedUntil: string | null;
  outcome: string | null;
  decidedBy: string | null;
}

interface ReviewDetail extends Review {
  proposal: unknown;
  defaultValue: unknown;
  schema: unknown;
  context: unknown;
  value: unknown;
  decisionReason: string | null;
  endedAt: string | null;
  event: { id: string };
}

/** The filter of `millrace reviews list`, by its options. */
export interface ReviewListOptions {
  flow?: string;
  customer?: string;
  escalated?: boolean;
  all: boolean;
  first: number;
}

const fields = 'id flow step customer state priority reason askedAt expiresAt escalatedAt claimedBy claimedUntil outcome decidedBy';
const listed = `query Reviews($filter: ReviewFilter, $orderBy: ReviewOrder!, $first: Int, $after: String) {
  page: reviews(filter: $filter, orderBy: $orderBy, first: $first, after: $after) { nodes { ${fields} } pageInfo { hasNextPage endCursor } }
}`;
const shown = `query Review($id: ID!) {
  review(id: $id) { ${fields} proposal defaultValue schema context value decisionReason endedAt event { id } }
}`;

/** `millrace reviews list`: what waits for a person, in the order of the queue; with `--all` every review, the last asked first. */
export async function reviews(connection: Connection, options: ReviewListOptions, output: Output): Promise<void> {
  const { flow, customer, escalated, all } = options;
  const variables = { filter: { flow, customer, escalated }, orderBy: all ? 'NEWEST' : 'QUEUE' };
  const isMore = await askPages<Review>(connection, listed, variables, options.first, (review) => output.result(review, lineOf(review)));
  if (isMore) output.note('There are more: --first prints more.');
}

/** `millrace reviews show`: everything that a person needs to decide. */
export async function showReview(connection: Connection, id: string, output: Output): Promise<void> {
  const { review } = await ask<{ review: ReviewDetail | null }>(connection, shown, { id });
  if (review === null) throw new CliFailure(`There is no review ${id}`, 'refused', 'review.unknown');
  const { event, step, proposal, defaultValue, schema, context, value, decisionReason, endedAt } = review;
  const json = (name: string, what: unknown): string => `  ${name.padEnd(9)} ${JSON.stringify(what)}`;
  const lines = [
    lineOf(review),
    `  event     ${event.id}`,
    `  step      ${step}`,
    json('proposal', proposal),
    json('default', defaultValue),
    ...(schema === null ? [] : [json('schema', schema)]),
    ...(context === null ? [] : [json('context', context)]),
    ...(endedAt === null ? [] : [json('value', value), `  ended     ${endedAt}${decisionReason === null ? '' : `: ${decisionReason}`}`]),
  ];
  output.result(review, lines.join('\n'));
}

function lineOf(review: Review): string {
  const { id, flow, customer, state, priority, reason, askedAt, expiresAt, escalatedAt, claimedBy, claimedUntil, outcome, decidedBy } =
    review;
  return [
    askedAt,
    id,
    flow,
    customer,
    outcome ?? state,
    ...(decidedBy === null ? [] : [`by ${decidedBy}`]),
    ...(claimedBy === null ? [] : [`by ${claimedBy} until ${claimedUntil}`]),
    `priority ${priority}`,
    ...(escalatedAt === null ? [] : ['escalated']),
    ...(outcome === null ? [`until ${expiresAt}`] : []),
    ...(reason === null ? [] : [reason]),
  ].join('  ');
}

/** The options of all commands that change a review. */
export interface ReviewActOptions {
  as?: string;
  reason?: string;
}

/** `millrace reviews claim`: claims one, or claims it for longer. */
export async function claimReview(
  connection: Connection,
  id: string,
  { as: reviewer, minutes, takeOver }: { as?: string; minutes: number; takeOver: boolean },
  output: Output,
): Promise<void> {
  const review = await change(connection, 'claimReview', { id, reviewer, minutes, takeOver });
  output.result(review, `${id} is yours until ${review.claimedUntil}.`);
}

/** `millrace reviews release`: gives one back. */
export async function releaseReview(connection: Connection, id: string, { as: reviewer }: { as?: string }, output: Output): Promise<void> {
  output.result(await change(connection, 'releaseReview', { id, reviewer }), `${id} waits for somebody again.`);
}

/** `millrace reviews approve`: the proposal is the value. */
export async function approveReview(
  connection: Connection,
  id: string,
  { as: reviewer, reason }: ReviewActOptions,
  output: Output,
): Promise<void> {
  decided(await change(connection, 'approveReview', { id, reviewer, reason, idempotencyKey: randomUUID() }), output);
}

/** `millrace reviews correct`: another value, in JSON. @throws CliFailure if it is none */
export async function correctReview(
  connection: Connection,
  id: string,
  text: string,
  { as: reviewer, reason }: ReviewActOptions,
  output: Output,
): Promise<void> {
  const value = jsonIn(text);
  decided(await change(connection, 'correctReview', { id, value, reviewer, reason, idempotencyKey: randomUUID() }), output);
}

/** `millrace reviews reject`: the default is the value. */
export async function rejectReview(
  connection: Connection,
  id: string,
  { as: reviewer, reason }: ReviewActOptions,
  output: Output,
): Promise<void> {
  decided(await change(connection, 'rejectReview', { id, reviewer, reason, idempotencyKey: randomUUID() }), output);
}

function decided(review: Review, output: Output): void {
  output.result(review, `${review.id} is ${review.outcome!.toLowerCase()}. Its run goes on.`);
}

function jsonIn(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    throw new CliFailure(`The value is not JSON: ${text.slice(0, 100)}`, 'unusable');
  }
}

type Mutation = 'claimReview' | 'releaseReview' | 'approveReview' | 'correctReview' | 'rejectReview';

async function change(connection: Connection, name: Mutation, input: object): Promise<Review> {
  const type = `${name[0]!.toUpperCase()}${name.slice(1)}`;
  const mutation = `mutation Change($input: ${type}Input!) {
    changed: ${name}(input: $input) { __typename ... on ${type}Success { review { ${fields} } } ${refusals} }
  }`;
  type Changed = { __typename: `${Capitalize<Mutation>}Success`; review: Review };
  const { changed } = await ask<{ changed: Changed | Refusal }>(connection, mutation, { input });
  return accepted(connection, changed).review;
}
