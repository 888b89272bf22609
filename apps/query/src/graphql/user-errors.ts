import { DomainError, NotFound } from '#libs/contracts';
import type { Scope } from '#libs/contracts';
import type { ForbiddenError, NotFoundError, UnavailableError, ValidationError, Violation } from '../generated/schema.js';

type Named<T extends { __typename?: string }> = T & { __typename: NonNullable<T['__typename']> };

/** One mapping from a mutation's expected failure to its union member. */
export function forbidden(error: DomainError, requiredScope: Scope): Named<ForbiddenError> {
  return { __typename: 'ForbiddenError', ...common(error), requiredScope };
}

/** The input is not acceptable; `violations` say everything that is wrong with it. */
export class InputInvalid extends DomainError {
  constructor(
    readonly violations: readonly Violation[],
    readonly code:
      | 'request.invalid'
      | 'request.idempotencyMismatch'
      | 'document.invalid'
      | 'deadLetter.resolved'
      | 'deadLetter.notHeld' = 'request.invalid',
  ) {
    super(violations.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
  }
}

type Answer = Named<ValidationError> | Named<NotFoundError> | Named<UnavailableError>;

/** The work's result, or its expected failure as a member of the mutation's union. Everything else is thrown on and stands in `errors[]`. */
export async function answered<T>(work: () => Promise<T>): Promise<T | Answer> {
  try {
    return await work();
  } catch (error) {
    const answer = answerOf(error);
    if (answer === undefined) throw error;
    return answer;
  }
}

function answerOf(error: unknown): Answer | undefined {
  if (error instanceof NotFound) return { __typename: 'NotFoundError', ...common(error), missing: [...error.missing] };
  if (error instanceof InputInvalid) {
    return { __typename: 'ValidationError', ...common(error), path: error.violations[0]?.path ?? null, violations: [...error.violations] };
  }
  if (error instanceof DomainError && error.outcome === 'retry') {
    return { __typename: 'UnavailableError', ...common(error), retryAfterMs: error.retryAfterMs ?? 1_000 };
  }
  return undefined;
}

function common(error: DomainError) {
  const { code, message, outcome, field } = error;
  return { code, message, outcome, path: field === undefined ? null : field.split('.') };
}
