import { DomainError, failures } from '#libs/contracts';
import type { Failure, FailureCode } from '#libs/contracts';
import { logger } from '#libs/tracing';
import { ContentEncodingUnsupported, MethodNotAllowed, RequestLimited, policyHeader } from './request.errors.js';

const log = logger('http');

/** RFC 9457 problem details, with our stable `code` and the input `field` at fault beside its members. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code?: FailureCode;
  field?: string;
}

export interface ProblemResponse {
  problem: Problem;
  headers: Record<string, string>;
}

/** The response to any failure. A defect is logged here, and only here. */
export function problemOf(error: unknown, where: { method: string; route: string | undefined }): ProblemResponse {
  if (error instanceof DomainError) return expectedProblem(error);
  log.error({ err: error, ...where }, 'request failed by a defect');
  return { problem: defectProblem, headers: {} };
}

function expectedProblem(error: DomainError): ProblemResponse {
  const problem: Problem = {
    type: `urn:millrace:problem:${error.code}`,
    title: failures[error.code].title,
    status: failures[error.code].httpStatus,
    detail: error.publicMessage,
    code: error.code,
    ...(error.field === undefined ? {} : { field: error.field }),
  };
  return { problem, headers: failureHeaders(error) };
}

/**
 * The headers of an HTTP response that reports the failure: `retry-after` (seconds), `www-authenticate`, `allow`, `ratelimit`,
 * `accept-encoding`.
 */
export function failureHeaders(error: DomainError): Record<string, string> {
  const headers: Record<string, string> = {};
  const { challenge }: Failure = failures[error.code];
  if (challenge !== undefined) headers['www-authenticate'] = challenge;
  if (error.outcome === 'retry') headers['retry-after'] = String(Math.max(1, Math.ceil((error.retryAfterMs ?? 1_000) / 1_000)));
  if (error instanceof ContentEncodingUnsupported) headers['accept-encoding'] = 'identity'; // RFC 9110 §15.5.16
  if (error instanceof RequestLimited) {
    headers['ratelimit-policy'] = policyHeader(error.policies);
    headers['ratelimit'] = error.policies.map(({ name }) => `"${name}";r=0;t=${headers['retry-after']}`).join(', ');
  }
  if (error instanceof MethodNotAllowed) headers['allow'] = error.allowed;
  return headers;
}

/** The response to an unexpected error. It reveals nothing of the cause. */
const defectProblem: Problem = {
  type: 'about:blank',
  title: 'Internal Server Error',
  status: 500,
  detail: 'The request failed in a way that is our fault. It has been logged.',
};
