import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { parseRetryAfter } from '#libs/retries';
import { ModelCredentialRefused, ModelLimited, ModelRefused, ModelUnavailable } from './model.errors.js';
import type { ModelFailure } from './model.errors.js';

/** A 429 with one of these is no rate limit: the account has run dry, and waiting does not fill it. */
const quotaCodes = new Set(['insufficient_quota', 'billing_hard_limit_reached', 'billing_not_active']);

const messageLimit = 500;

/**
 * What a failed call means, whatever the SDK threw. An abort of ours is not asked about here: the caller knows its own deadline.
 * What is no error of the SDK's comes from reading the body, such as a `SyntaxError` where it is not JSON.
 */
export function failureOfCall(error: unknown, nowMs: number): ModelFailure {
  if (error instanceof APIConnectionTimeoutError) return new ModelUnavailable('The provider did not answer in time', { cause: error });
  if (error instanceof APIConnectionError) {
    return new ModelUnavailable(`The connection to the provider failed: ${rootMessage(error)}`, { cause: error });
  }
  if (error instanceof APIError && error.status !== undefined) return failureOfStatus(error, error.status, nowMs);
  return new ModelUnavailable(`The provider's answer could not be read: ${rootMessage(error)}`, { cause: error });
}

function failureOfStatus(error: APIError, status: number, nowMs: number): ModelFailure {
  const message = `The provider answered ${error.message.slice(0, messageLimit)}`;
  const wait = { retryAfterMs: retryAfterOf(error.headers, nowMs), cause: error };
  switch (status) {
    case 401:
    case 402:
    case 403:
      return new ModelCredentialRefused(message, { cause: error });
    case 429:
      return quotaCodes.has(error.code ?? '') ? new ModelCredentialRefused(message, { cause: error }) : new ModelLimited(message, wait);
    case 408: // the provider gave up waiting for the request
    case 409: // a lock the provider waited for in vain
      return new ModelUnavailable(message, wait);
    default:
      return status >= 500 ? new ModelUnavailable(message, wait) : new ModelRefused(message, { cause: error });
  }
}

/** `retry-after-ms` is OpenAI's own and finer; `Retry-After` is everyone's. */
function retryAfterOf(headers: Headers | undefined, nowMs: number): number | undefined {
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  return Number.isFinite(ms) && ms >= 0 ? ms : parseRetryAfter(headers?.get('retry-after'), nowMs);
}

/** The SDK says only "Connection error."; the reason is in the cause. */
function rootMessage(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return (root instanceof Error ? root.message || root.name : String(root)).slice(0, messageLimit);
}
