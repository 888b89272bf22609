import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { hintAt } from './connection.js';

/** The union members of a mutation that was refused. */
export type Refusal =
  | { __typename: 'ValidationError'; code: string; violations: { path: string[]; message: string }[] }
  | { __typename: 'NotFoundError' | 'ForbiddenError' | 'UnavailableError'; code: string; message: string };

/** Fragments for the selection of each mutation. */
export const refusals = `
  ... on ValidationError { code violations { path message } }
  ... on NotFoundError { code message }
  ... on ForbiddenError { code message }
  ... on UnavailableError { code message }`;

/**
 * @param lineOf the line for a violation; by default its field, by the option that sets it, and the message
 * @throws CliFailure if the result is a refusal
 */
export function accepted<T extends { __typename: string }>(
  connection: Connection,
  result: T | Refusal,
  lineOf: (violation: { path: string[]; message: string }) => string = ({ path, message }) => `${optionOf(path.slice(1))}: ${message}`,
): T {
  if (!isRefusal(result)) return result;
  if ('violations' in result) throw new CliFailure(result.violations.map(lineOf).join('\n'), 'refused');
  throw failureOf(connection, result);
}

/** The name of the type tells, and not its fields: a success may have a message, too. */
function isRefusal(result: { __typename: string }): result is Refusal {
  return result.__typename.endsWith('Error');
}

/** A failure as a door reports it: an entry of `errors`, a member of a union, or problem+json. */
export interface ReportedFailure {
  code: string | undefined;
  message: string;
  /** The header, argument or field at fault. */
  field?: string | undefined;
}

/** The failure in the words of the command line: options and environment variables instead of headers and fields. */
export function failureOf(connection: Connection, failure: ReportedFailure): CliFailure {
  return new CliFailure(messageFor(connection, failure), kindOf(failure), failure.code);
}

function messageFor(connection: Connection, { code, message, field }: ReportedFailure): string {
  const { key, keyFrom, tenantFrom } = connection;
  if (code === 'credential.missing') return `The key from ${keyFrom} did not arrive: does a proxy remove it?`;
  if (code === 'credential.invalid') return `The key from ${keyFrom} is unknown, revoked or expired${hintFor(key)}${hintAt(connection)}`;
  if (field === 'millrace-tenant' && code === 'credential.scope') {
    return `The key from ${keyFrom} belongs to another tenant than ${tenantFrom} names; a tenant’s key needs no --tenant`;
  }
  if (field === 'millrace-tenant') return 'The operator’s key acts in one tenant: give --tenant, or set MILLRACE_TENANT';
  if (field === undefined || !message.startsWith(field)) return inOptions(message);
  return optionOf(field.split('.')) + message.slice(field.length);
}

/** An operator chooses a key of any form, so a key without the form of a tenant's is one that `query` does not know. */
function hintFor(key: string): string {
  return key.startsWith('mr_') ? '' : '. It has not the form of an API key (mr_…); an operator’s key must be the OPERATOR_KEY of query';
}

function kindOf({ code, field }: ReportedFailure): 'refused' | 'unusable' {
  const isConnection = code === undefined || code.startsWith('credential.') || code.endsWith('.unavailable') || field === 'millrace-tenant';
  return isConnection ? 'unusable' : 'refused';
}

/** The option that sets a field of an input. */
const options: Record<string, string> = {
  code: '--code',
  createdBefore: '--before',
  createdFrom: '--from',
  customer: '--customer',
  destination: '--destination',
  displayName: '--display-name',
  event: '--event',
  expiresAt: '--expires',
  expression: '<expression>',
  first: '--first',
  flow: '--flow',
  id: '<id>',
  minutes: '--minutes',
  name: '<name>',
  names: '--names',
  ratePerSecond: '--rate',
  reason: '--reason',
  receivedBefore: '--before',
  receivedFrom: '--from',
  reviewer: '--as',
  run: '--run',
  scopes: '--scope',
  source: '--source',
  sources: '--source',
  state: '--state',
  states: '--state',
  type: '--type',
  value: '<value>',
};

/** The option for a path such as `filter.events.sources.0`; the path itself if no option sets it. */
function optionOf(path: readonly string[]): string {
  const field = path.findLast((segment) => Object.hasOwn(options, segment));
  return field === undefined ? path.join('.') : options[field]!;
}

/** A value that GraphQL itself refuses, such as that of an enumeration: `Variable "$filter" got invalid value "X" at "filter.states[0]"; …`. */
function inOptions(message: string): string {
  const [, place, reason] = /^Variable "\$\w+" got invalid value .* at "([^"]+)"; (.*)$/s.exec(message) ?? [];
  return place === undefined ? message : `${optionOf(place.split(/[.[\]]+/))}: ${reason}`;
}
