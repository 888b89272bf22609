import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { longestPauseMs, parseRetryAfter } from '#libs/retries';
import { ModelCredentialRefused, ModelFailure, ModelLimited, ModelRefused, ModelUnavailable } from '../../model.errors.js';

/** A 429 with one of these codes is no rate limit: the account has no credit left, and waiting does not help. */
const quotaCodes = new Set(['insufficient_quota', 'billing_hard_limit_reached', 'billing_not_active']);

const messageLimit = 500;

/** An error as the APIs put it into a body: of an error status, of a failed response, or of an event in a stream. */
interface ErrorBody {
  readonly code?: string | null | undefined;
  readonly type?: string | null | undefined;
  readonly message: string;
}

/**
 * Classifies a failed call, whatever the SDK threw. The caller has ruled out an abort by its own signal.
 * An error that is none of the SDK's comes from reading the body, such as a `SyntaxError` if it is not JSON.
 */
export function failureOfCall(error: unknown, nowMs: number): ModelFailure {
  if (error instanceof ModelFailure) return error;
  if (error instanceof APIConnectionTimeoutError) return new ModelUnavailable('The provider did not answer in time', { cause: error });
  if (error instanceof APIConnectionError) {
    return new ModelUnavailable(`The connection to the provider failed: ${rootMessage(error)}`, { cause: error });
  }
  if (error instanceof APIError) {
    return error.status === undefined ? failureInStream(error) : failureOfStatus(error, error.status, nowMs);
  }
  return new ModelUnavailable(`The provider's answer could not be read: ${rootMessage(error)}`, { cause: error });
}

/** A response of the responses API can fail after its 200: the error then stands in its body. An unknown code is taken as permanent. */
export function failureInResponse(error: ErrorBody, providerRequestId: string | undefined): ModelFailure {
  const message = `The provider answered ${error.code}: ${error.message.slice(0, messageLimit)}`;
  return failureOfBody(error, message, { providerRequestId }) ?? new ModelRefused(message, { providerRequestId });
}

/** The stream closed before the response was complete. */
export function streamCut(providerRequestId: string | null): ModelUnavailable {
  return new ModelUnavailable('The stream ended before the response was complete', { providerRequestId: providerRequestId ?? undefined });
}

/** An error event after the 200 of a stream. An unknown one is taken as transient, because the request itself had been accepted. */
function failureInStream(error: APIError): ModelFailure {
  const message = `The provider broke the stream off: ${error.message.slice(0, messageLimit)}`;
  const details = { cause: error, providerRequestId: error.requestID ?? undefined };
  return failureOfBody(error, message, details) ?? new ModelUnavailable(message, details);
}

function failureOfBody(
  { code, type }: ErrorBody,
  message: string,
  details: { providerRequestId: string | undefined; cause?: unknown },
): ModelFailure | undefined {
  if (quotaCodes.has(code ?? '') || code === 'invalid_api_key') return new ModelCredentialRefused(message, details);
  if (code === 'rate_limit_exceeded') return new ModelLimited(message, details);
  if (code === 'server_error' || code === 'vector_store_timeout' || type === 'server_error') return new ModelUnavailable(message, details);
  return type === 'invalid_request_error' ? new ModelRefused(message, details) : undefined;
}

function failureOfStatus(error: APIError, status: number, nowMs: number): ModelFailure {
  const message = `The provider answered ${error.message.slice(0, messageLimit)}`;
  const details = { cause: error, providerRequestId: error.requestID ?? undefined };
  const retryable = { ...details, retryAfterMs: retryAfterOf(error.headers, nowMs) };
  switch (status) {
    case 401:
    case 402:
    case 403:
      return new ModelCredentialRefused(message, details);
    case 429:
      return quotaCodes.has(error.code ?? '') ? new ModelCredentialRefused(message, details) : new ModelLimited(message, retryable);
    case 408: // the provider gave up waiting for the request
    case 409: // the provider waited for a lock in vain
      return new ModelUnavailable(message, retryable);
    default:
      return status >= 500 ? new ModelUnavailable(message, retryable) : new ModelRefused(message, details);
  }
}

/** `retry-after-ms` is OpenAI's own and finer than the standard `Retry-After`. Both are cut to {@link longestPauseMs}. */
function retryAfterOf(headers: Headers | undefined, nowMs: number): number | undefined {
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, longestPauseMs) : parseRetryAfter(headers?.get('retry-after'), nowMs);
}

/** The SDK says only "Connection error."; the reason is in the cause. */
function rootMessage(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return (root instanceof Error ? root.message || root.name : String(root)).slice(0, messageLimit);
}
