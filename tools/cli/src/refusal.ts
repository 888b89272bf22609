import { CliFailure } from './failure.js';

/** The union members of a mutation that was refused. */
export type Refusal =
  | { __typename: 'ValidationError'; violations: { path: string[]; message: string }[] }
  | { __typename: 'NotFoundError' | 'ForbiddenError' | 'UnavailableError'; message: string };

/** Fragments for the selection of each mutation. */
export const refusals = `
  ... on ValidationError { violations { path message } }
  ... on NotFoundError { message }
  ... on ForbiddenError { message }
  ... on UnavailableError { message }`;

/** @throws CliFailure if the result is a refusal */
export function accepted<T extends { __typename: string }>(result: T | Refusal): T {
  if ('violations' in result) {
    throw new CliFailure(result.violations.map(({ path, message }) => `${path.slice(1).join('.')}: ${message}`).join('\n'), 'refused');
  }
  if ('message' in result) throw new CliFailure(result.message, result.__typename === 'UnavailableError' ? 'unusable' : 'refused');
  return result;
}
