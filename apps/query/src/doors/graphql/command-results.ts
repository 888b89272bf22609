import { ScopeMissing } from '#libs/auth';
import { DomainError, NotFound } from '#libs/contracts';
import { InputInvalid } from '../../operations/input.errors.js';
import type { Operation } from '../../operations/operation.js';
import { commandTypeName } from './sdl.js';

/**
 * The result of a command, or its expected failure, as a member of the union of its results. Everything else is thrown and stands in `errors[]`.
 * @throws whatever is no expected failure of a command
 */
export async function resultOf(operation: Operation, work: () => Promise<object>): Promise<object> {
  try {
    return { __typename: `${commandTypeName(operation)}Success`, ...(await work()) };
  } catch (error) {
    const member = error instanceof DomainError ? memberOf(error) : undefined;
    if (member === undefined) throw error;
    return member;
  }
}

function memberOf(error: DomainError): object | undefined {
  const { code, publicMessage: message, outcome, field } = error;
  const common = { code, message, outcome, path: field === undefined ? null : inInput(field.split('.')) };
  if (error instanceof ScopeMissing) return { __typename: 'ForbiddenError', ...common, requiredScope: error.scope };
  if (error instanceof NotFound) return { __typename: 'NotFoundError', ...common, missing: error.missing };
  if (error instanceof InputInvalid) {
    const violations = error.violations.map(({ path, message: problem }) => ({ path: inInput(path), message: problem }));
    return { __typename: 'ValidationError', ...common, path: violations[0]?.path ?? null, violations };
  }
  if (outcome === 'retry') return { __typename: 'UnavailableError', ...common, retryAfterMs: error.retryAfterMs ?? 1_000 };
  return undefined;
}

/** Mutations take their input as the argument `input`, so paths of this door begin with it. */
function inInput(path: readonly string[]): string[] {
  return ['input', ...path];
}
