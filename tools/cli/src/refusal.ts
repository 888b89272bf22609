import { Failure } from './failure.js';

/** What a mutation answers with where it does not do what it was asked. */
export type Refusal =
  | { __typename: 'ValidationError'; violations: { path: string[]; message: string }[] }
  | { __typename: 'NotFoundError' | 'ForbiddenError' | 'UnavailableError'; message: string };

/** To stand in the selection of every mutation. */
export const refusals = `
  ... on ValidationError { violations { path message } }
  ... on NotFoundError { message }
  ... on ForbiddenError { message }
  ... on UnavailableError { message }`;

/** @throws Failure where the answer is a refusal */
export function accepted<T extends { __typename: string }>(answer: T | Refusal): T {
  if ('violations' in answer) {
    throw new Failure(answer.violations.map(({ path, message }) => `${path.slice(1).join('.')}: ${message}`).join('\n'), 'refused');
  }
  if ('message' in answer) throw new Failure(answer.message, answer.__typename === 'UnavailableError' ? 'unusable' : 'refused');
  return answer;
}
