import { randomUUID } from 'node:crypto';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface ListedRequest {
  id: string;
  source: string;
  outcome: string;
  code: string | null;
  message: string | null;
  receivedAt: string;
  method: string;
  clientAddress: string;
  bodyBytes: number;
  takenAt: string | null;
}

interface WholeRequest extends ListedRequest {
  path: string;
  query: string | null;
  headers: { name: string; value: string }[];
  redacted: string[];
  isVerified: boolean;
  body: string | null;
  bodyBase64: string;
  events: { id: string }[];
}

/** The filter of `millrace requests list`, by its options. */
export interface RequestListOptions {
  source?: string;
  outcome?: string;
  code?: string;
  from?: string;
  before?: string;
  first: number;
}

const listFields = 'id source outcome code message receivedAt method clientAddress bodyBytes takenAt';
const listed = `query Requests($filter: RequestFilter, $first: Int) {
  requests(first: $first, filter: $filter) { nodes { ${listFields} } pageInfo { hasNextPage } }
}`;
const one = `query Request($id: ID!) {
  request(id: $id) { ${listFields} path query headers { name value } redacted isVerified body bodyBase64 events { id } }
}`;
const verifyOne = `mutation Verify($input: VerifyRequestInput!) {
  verified: verifyRequest(input: $input) { __typename ... on VerifyRequestSuccess { verdict refusal { code message } eventIds } ${refusals} }
}`;
const takeOne = `mutation Take($input: TakeRequestInput!) {
  taken: takeRequest(input: $input) { __typename ... on TakeRequestSuccess { eventIds } ${refusals} }
}`;
const testOne = `mutation Test($input: SendTestEventsInput!) {
  sent: sendTestEvents(input: $input) { __typename ... on SendTestEventsSuccess { eventIds } ${refusals} }
}`;

/** `millrace requests list`: the newest that match. */
export async function requests(connection: Connection, options: RequestListOptions, output: Output): Promise<void> {
  const { source, outcome, code, from, before, first } = options;
  const filter = { source, outcome: outcome?.toUpperCase(), code, receivedFrom: from, receivedBefore: before };
  type Page = { requests: { nodes: ListedRequest[]; pageInfo: { hasNextPage: boolean } } };
  const page = (await ask<Page>(connection, listed, { filter, first })).requests;
  for (const request of page.nodes) output.result(request, lineOf(request));
  if (page.pageInfo.hasNextPage) output.note('There are more, older ones: --first prints more, --before older ones.');
}

function lineOf({ receivedAt, id, source, outcome, code, message, clientAddress, takenAt }: ListedRequest): string {
  const why = code === null ? [] : [`${code}: ${message ?? ''}`];
  return [receivedAt, id, source, outcome, clientAddress, ...why, ...(takenAt === null ? [] : [`taken ${takenAt}`])].join('  ');
}

/** `millrace requests get`: a request as it was received, as far as it is kept. */
export async function showRequest(connection: Connection, id: string, output: Output): Promise<void> {
  const { request } = await ask<{ request: WholeRequest | null }>(connection, one, { id });
  if (request === null) throw new CliFailure(`There is no request ${id}`, 'refused', 'request.unknown');
  output.result(request, wholeOf(request));
}

function wholeOf(request: WholeRequest): string {
  const { method, path, query, headers, redacted, body, bodyBase64, bodyBytes, events } = request;
  const keptBytes = Buffer.from(bodyBase64, 'base64').length;
  const notes = [
    ...(redacted.length === 0 ? [] : [`not kept: ${redacted.join(', ')}`]),
    ...(keptBytes === bodyBytes ? [] : [`${keptBytes} of ${bodyBytes} bytes of the body are kept`]),
    ...events.map((event) => `brought ${event.id}`),
  ];
  const head = [`${method} ${path}${query === null ? '' : `?${query}`}`, ...headers.map(({ name, value }) => `${name}: ${value}`)];
  return [lineOf(request), ...notes, '', ...head, '', body ?? `${bodyBase64} (base64)`].join('\n');
}

/** `millrace requests verify`: asks the source as it is now. @throws CliFailure if it does not accept the request */
export async function verifyRequest(connection: Connection, id: string, output: Output): Promise<void> {
  type Verified = {
    __typename: 'VerifyRequestSuccess';
    verdict: string;
    refusal: { code: string; message: string } | null;
    eventIds: string[];
  };
  const { verified } = await ask<{ verified: Verified | Refusal }>(connection, verifyOne, { input: { id } });
  const { verdict, refusal, eventIds } = accepted(connection, verified);
  output.result(
    { id, verdict, refusal, eventIds },
    refusal === null ? `accepted  ${eventIds.join('  ')}` : `${verdict.toLowerCase()}  ${refusal.code}: ${refusal.message}`,
  );
  if (refusal === null) return;
  const why =
    verdict === 'UNVERIFIABLE'
      ? 'What is kept of the request does not suffice to verify it'
      : 'The source as it is now does not accept the request';
  throw new CliFailure(why, 'refused', refusal.code);
}

/** `millrace requests take`: has the events of a refused request taken. */
export async function takeRequest(connection: Connection, id: string, output: Output): Promise<void> {
  type Taken = { __typename: 'TakeRequestSuccess'; eventIds: string[] };
  const { taken } = await ask<{ taken: Taken | Refusal }>(connection, takeOne, { input: { id } });
  const { eventIds } = accepted(connection, taken);
  output.result({ id, eventIds }, eventIds.join('\n'));
}

/** `millrace requests test`: sends the events of a request again, marked as a test. */
export async function testRequest(connection: Connection, id: string, output: Output): Promise<void> {
  type Sent = { __typename: 'SendTestEventsSuccess'; eventIds: string[] };
  const { sent } = await ask<{ sent: Sent | Refusal }>(connection, testOne, { input: { id, idempotencyKey: randomUUID() } });
  const { eventIds } = accepted(connection, sent);
  output.result({ id, eventIds }, eventIds.join('\n'));
}
