import { parseStoredJson } from '#libs/json';
import { timeoutSignal } from '#libs/time';
import { hintAt } from './connection.js';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { failureOf } from './refusal.js';

interface GraphQLResponse<Data> {
  data?: Data | null;
  errors?: { message: string; extensions?: { code?: string; argument?: string } }[];
}

/** Sends one GraphQL request. Numbers keep their digits. @throws CliFailure */
export async function ask<Data>(connection: Connection, query: string, variables: object = {}): Promise<Data> {
  const response = await post(connection, '/graphql', {
    body: JSON.stringify({ query, variables }),
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
  });
  const { data, errors } = await responseOf<Data>(connection, response);
  const [error] = errors ?? [];
  if (error !== undefined) {
    const { code, argument } = error.extensions ?? {};
    throw failureOf(connection, { code, message: error.message, field: argument });
  }
  if (data == null) throw new CliFailure(`${connection.url} answered nothing`, 'unusable');
  return data;
}

/** The largest page that Millrace gives. */
const maxPage = 100;

interface GraphQLPage<Row> {
  readonly page: {
    readonly nodes: readonly Row[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

type OnRow<Row> = (row: Row) => void;

/**
 * Reads a list page by page, and passes on up to `most` rows.
 * @param query has the variables `first` and `after`, and names the list `page`
 * @returns true if there are more
 * @throws CliFailure
 */
export async function askPages<Row>(
  connection: Connection,
  query: string,
  variables: object,
  most: number,
  onRow: OnRow<Row>,
): Promise<boolean> {
  let after: string | null = null;
  let left = most;
  do {
    const first = Math.min(left, maxPage);
    const { page }: GraphQLPage<Row> = await ask<GraphQLPage<Row>>(connection, query, { ...variables, first, after });
    for (const row of page.nodes) onRow(row);
    left -= page.nodes.length;
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after !== null && left > 0);
  return after !== null;
}

/** The headers with the credentials. */
export function credentialHeaders({ key, tenant }: Connection): Record<string, string> {
  return { authorization: `Bearer ${key}`, ...(tenant === undefined ? {} : { 'millrace-tenant': tenant }) };
}

const timeoutMs = 30_000;

/** @throws CliFailure if there is no response */
export async function post(
  connection: Connection,
  path: string,
  { headers, body }: { headers: Record<string, string>; body: string },
): Promise<Response> {
  const response = await fetch(new URL(path, connection.url), {
    method: 'POST',
    headers: { ...credentialHeaders(connection), ...headers },
    body,
    redirect: 'manual', // the key, and the secrets in documents, go only where the operator said
    signal: timeoutSignal(timeoutMs),
  }).catch((error: unknown) => {
    throw new CliFailure(
      `Millrace does not answer at ${connection.url}: ${networkReason(error, connection.url)}${hintAt(connection)}`,
      'unusable',
    );
  });
  const location = response.headers.get('location');
  if (response.status < 300 || response.status > 399 || location === null) return response;
  const remedy = 'nothing was sent there. If Millrace is there, give that address by --url';
  throw new CliFailure(`${connection.url} answered with a redirect to ${location}, and ${remedy}`, 'unusable');
}

async function responseOf<Data>(connection: Connection, response: Response): Promise<GraphQLResponse<Data>> {
  const { url } = connection;
  const answer = await readAnswer<Data>(response);
  if (answer.data !== undefined || answer.errors !== undefined) return answer;
  const { code, detail } = answer;
  if (code === 'request.tooLarge')
    throw new CliFailure(`${detail ?? 'The request is too large'}. Apply parts of the documents one after the other`, 'unusable', code);
  if (code !== undefined && detail !== undefined && code !== 'request.notFound')
    throw failureOf(connection, { code, message: `${url} answered with status ${response.status}: ${detail}` });
  throw new CliFailure(
    `${url} answered with status ${response.status} and no GraphQL: --url must be the address of Millrace, in the distributed form that of query`,
    'unusable',
  );
}

/** An answer of GraphQL, or problem+json from before it; empty if it is neither. */
async function readAnswer<Data>(response: Response): Promise<GraphQLResponse<Data> & { code?: string; detail?: string }> {
  try {
    return parseStoredJson(await response.text()) as GraphQLResponse<Data>;
  } catch {
    return {};
  }
}

function networkReason(error: unknown, url: string): string {
  const { name, cause, message } = error as Error;
  if (name === 'TimeoutError') return `no response within ${timeoutMs / 1_000} s`;
  const { code } = (cause ?? {}) as { code?: string };
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return `there is no TLS at this address; ${url.replace('https', 'http')} may be meant`;
  return cause instanceof Error && cause.message !== '' ? cause.message : message;
}
