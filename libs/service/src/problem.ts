import { DomainError, failures } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';
import { logger } from '#libs/tracing';
import { MethodNotAllowed } from './request.errors.js';

const log = logger('http');

/** The one mapping from failure to HTTP status (RFC 9110). */
const statuses: Record<FailureCode, number> = {
  'request.malformed': 400,
  'request.invalid': 400,
  'request.tooLarge': 413,
  'request.unsupportedMediaType': 415,
  'request.notFound': 404,
  'request.methodNotAllowed': 405,
  'request.idempotencyMismatch': 409,
  'request.tooExpensive': 400,
  'request.timeout': 503,
  'request.defect': 500,
  'service.starting': 503,
  'subscription.overflow': 503,
  'source.unknown': 404,
  'signature.missing': 401,
  'signature.malformed': 401,
  'signature.mismatch': 401,
  'signature.expired': 401,
  'credential.missing': 401,
  'credential.invalid': 401,
  'credential.scope': 403,
  'document.invalid': 422,
  'event.unknown': 404,
  'flow.unknown': 404,
  'delivery.unknown': 404,
  'bulkOperation.unknown': 404,
  'bulkOperation.defect': 500,
  'deadLetter.unknown': 404,
  'deadLetter.resolved': 409,
  'deadLetter.notHeld': 409,
  'log.unavailable': 503,
  'storage.unavailable': 503,
  'configuration.unavailable': 503,
  'record.undecodable': 500,
  'record.defect': 500,
  'run.leased': 503,
  'run.unfinished': 503,
  'run.failed': 502,
  'flow.expressionFailed': 422,
  'flow.validationFailed': 422,
  'flow.unknownDestination': 422,
  'model.unavailable': 503,
  'model.limited': 503,
  'model.credential': 503,
  'model.refused': 502,
  'model.invalidOutput': 502,
  'delivery.busy': 503,
  'delivery.unavailable': 503,
  'delivery.timeout': 503,
  'delivery.refused': 502,
  'delivery.destinationDisabled': 502,
  'delivery.unauthorized': 503,
  'destination.unknown': 404,
  'delivery.addressForbidden': 422,
};

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

/** What a caller is told of any failure; a defect is logged here. */
export function problemOf(error: unknown, where: { method: string; route: string | undefined }): ProblemResponse {
  if (error instanceof DomainError) return expectedProblem(error);
  log.error({ err: error, ...where }, 'request failed by a defect');
  return { problem: defectProblem, headers: {} };
}

function expectedProblem(error: DomainError): ProblemResponse {
  const problem: Problem = {
    type: `urn:millrace:problem:${error.code}`,
    title: failures[error.code].title,
    status: statuses[error.code],
    detail: error.message,
    code: error.code,
    ...(error.field === undefined ? {} : { field: error.field }),
  };
  return { problem, headers: headersOf(error) };
}

function headersOf(error: DomainError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (error.outcome === 'retry') headers['retry-after'] = String(Math.max(1, Math.ceil((error.retryAfterMs ?? 1_000) / 1_000)));
  if (error instanceof MethodNotAllowed) headers['allow'] = error.allowed;
  if (error.code === 'credential.scope') headers['www-authenticate'] = 'Bearer error="insufficient_scope"';
  else if (error.code === 'credential.invalid') headers['www-authenticate'] = 'Bearer error="invalid_token"';
  else if (error.code === 'credential.missing') headers['www-authenticate'] = 'Bearer';
  return headers;
}

/** What a caller is told of a failure nobody foresaw: nothing of it. */
const defectProblem: Problem = {
  type: 'about:blank',
  title: 'Internal Server Error',
  status: 500,
  detail: 'The request failed in a way that is our fault. It has been logged.',
};
