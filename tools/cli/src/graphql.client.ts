import type { Connection } from './connection.js';
import { Failure } from './failure.js';

interface GraphQLAnswer<Data> {
  data?: Data | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

/** One GraphQL request. @throws Failure */
export async function ask<Data>(connection: Connection, query: string, variables: object = {}): Promise<Data> {
  const response = await post(connection, JSON.stringify({ query, variables }));
  const { data, errors } = await answerOf<Data>(connection, response);
  const [error] = errors ?? [];
  if (error !== undefined) throw new Failure(error.message, kindOf(error.extensions?.code));
  if (data == null) throw new Failure(`${connection.url} answered nothing`, 'unusable');
  return data;
}

/** The headers that say who asks. */
export function credentialHeaders({ key, tenant }: Connection): Record<string, string> {
  return { authorization: `Bearer ${key}`, ...(tenant === undefined ? {} : { 'millrace-tenant': tenant }) };
}

const timeoutMs = 30_000;

async function post(connection: Connection, body: string): Promise<Response> {
  const headers = { ...credentialHeaders(connection), 'content-type': 'application/json', accept: 'application/graphql-response+json' };
  try {
    return await fetch(new URL('/graphql', connection.url), { method: 'POST', headers, body, signal: AbortSignal.timeout(timeoutMs) });
  } catch (error) {
    throw new Failure(`Millrace does not answer at ${connection.url}: ${reasonOf(error)}`, 'unusable');
  }
}

async function answerOf<Data>({ url }: Connection, response: Response): Promise<GraphQLAnswer<Data>> {
  try {
    return (await response.json()) as GraphQLAnswer<Data>;
  } catch {
    throw new Failure(`${url} answered with status ${response.status} and no GraphQL: is it Millrace?`, 'unusable');
  }
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error && cause.message !== '' ? cause.message : message;
}

function kindOf(code: string | undefined): 'refused' | 'unusable' {
  return code === undefined || code.startsWith('credential.') || code.endsWith('.unavailable') ? 'unusable' : 'refused';
}
