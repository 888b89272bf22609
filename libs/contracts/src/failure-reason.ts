import { DomainError } from './errors.js';
import type { FailureCode } from './errors.js';

/** The reason of a failure, as it is stored, announced and shown. */
export interface FailureReason {
  readonly code: FailureCode;
  readonly message: string;
}

/** The reason of anything that was thrown; everything but a {@link DomainError} is a `record.defect`. */
export function failureReason(error: unknown): FailureReason {
  if (error instanceof DomainError) return { code: error.code, message: error.message };
  return { code: 'record.defect', message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

/** The message of anything that was thrown. A connection that failed on several addresses is an AggregateError without a message of its own. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}
