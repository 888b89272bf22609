import { timeoutSignal } from '#libs/time';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';

interface GraphQLResponse<Data> {
  data?: Data | null;
  errors?: { message: string; extensions?: { code?: string } }[];
}

/** Sends one GraphQL request. @throws CliFailure */
export async function ask<Data>(connection: Connection, query: string, variables: object = {}): Promise<Data> {
  const response = await post(connection, JSON.stringify({ query, variables }));
  const { data, errors } = await responseOf<Data>(connection, response);
  const [error] = errors ?? [];
  if (error !== undefined) throw new CliFailure(error.message, kindOf(error.extensions?.code));
  if (data == null) throw new CliFailure(`${connection.url} answered nothing`, 'unusable');
  return data;
}

/** The headers with the credentials. */
export function credentialHeaders({ key, tenant }: Connection): Record<string, string> {
  return { authorization: `Bearer ${key}`, ...(tenant === undefined ? {} : { 'millrace-tenant': tenant }) };
}

const timeoutMs = 30_000;

async function post(connection: Connection, body: string): Promise<Response> {
  const headers = { ...credentialHeaders(connection), 'content-type': 'application/json', accept: 'application/graphql-response+json' };
  try {
    return await fetch(new URL('/graphql', connection.url), { method: 'POST', headers, body, signal: timeoutSignal(timeoutMs) });
  } catch (error) {
    throw new CliFailure(`Millrace does not answer at ${connection.url}: ${networkReason(error)}`, 'unusable');
  }
}

async function responseOf<Data>({ url }: Connection, response: Response): Promise<GraphQLResponse<Data>> {
  try {
    return (await response.json()) as GraphQLResponse<Data>;
  } catch {
    throw new CliFailure(`${url} answered with status ${response.status} and no GraphQL: is it Millrace?`, 'unusable');
  }
}

function networkReason(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error && cause.message !== '' ? cause.message : message;
}

function kindOf(code: string | undefined): 'refused' | 'unusable' {
  return code === undefined || code.startsWith('credential.') || code.endsWith('.unavailable') ? 'unusable' : 'refused';
}
