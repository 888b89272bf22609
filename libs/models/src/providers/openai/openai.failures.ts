import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { HostAddressForbidden } from '#libs/http';
import { longestPauseMs, parseRetryAfter } from '#libs/retries';
import {
  ModelCredentialRefused,
  ModelFailure,
  ModelLimited,
  ModelMisconfigured,
  ModelRefused,
  ModelUnavailable,
} from '../../model.errors.js';
import { unreadable } from './answer-body.js';
import { errorFrom } from './error-body.js';
import type { ErrorBody } from './error-body.js';
import type { StatedLimits } from '../../model-limits.js';
import { limitsIn } from './rate-limit-headers.js';

const messageLimit = 500;

/** The account has no credit left, whatever the status says: waiting does not help. */
const quotaCodes = new Set(['insufficient_quota', 'billing_hard_limit_reached', 'billing_not_active', 'insufficient_balance']);
const keyCodes = new Set(['invalid_api_key', 'API_KEY_INVALID', 'authentication_error', 'invalid_authentication', 'UNAUTHENTICATED']);
const limitCodes = new Set(['rate_limit_exceeded', 'rate_limit_error', 'RESOURCE_EXHAUSTED', 'too_many_requests']);
const passingCodes = new Set([
  'server_error',
  'internal_error',
  'internal_server_error',
  'vector_store_timeout',
  'overloaded',
  'overloaded_error',
  'api_error',
  'engine_overloaded',
  'service_unavailable',
  'timeout',
  'INTERNAL',
  'UNAVAILABLE',
]);
const moderationCodes = new Set([
  'content_filter',
  'content_policy_violation',
  'moderation_blocked',
  'sensitive',
  'data_inspection_failed',
]);
const refusedCodes = new Set(['invalid_request_error', 'invalid_prompt', 'context_length_exceeded', 'BadRequestError', 'INVALID_ARGUMENT']);
const modelCodes = new Set(['model_not_found', 'DeploymentNotFound', 'model_not_available', 'ModelError']);
const addressCodes = new Set(['unknown_url', 'not_found_url']);

const keyWords = /\bapi key (?:not valid|provided)|(?:incorrect|invalid) api key/i;
const moderationWords = /\bmoderat|\bflagged\b|content (?:policy|management policy|filter)|safety (?:system|filter|policy)/i;
const sizeWords = /fewer max_tokens|can only afford|request too large|reduce (?:the length|your prompt|max_tokens)/i;
const modelWords = /\b(?:model|deployment|endpoints? found|providers? (?:is|are) available)\b/i;
const addressWords = /\b(?:invalid|unknown(?: request)?) url\b|unexpected endpoint|cannot (?:post|get) \/|no route/i;

interface FailureDetails {
  readonly providerRequestId: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly limits?: StatedLimits | undefined;
  readonly cause?: unknown;
}

/**
 * Classifies a failed call, whatever the SDK threw. The caller has ruled out an abort by its own signal.
 * An error that is none of the SDK's comes from reading the body of a stream, such as a `SyntaxError` if it is not JSON.
 */
export function failureOfCall(error: unknown, nowMs: number): ModelFailure {
  if (error instanceof ModelFailure) return error;
  if (error instanceof APIConnectionTimeoutError)
    return new ModelUnavailable('The provider did not answer in time', { by: 'deadline', cause: error });
  if (error instanceof APIConnectionError) {
    if (error.cause instanceof ModelFailure) return error.cause; // of the transport
    const forbidden = forbiddenAddress(error);
    if (forbidden !== undefined) return new ModelMisconfigured(forbidden.message, { cause: error });
    return new ModelUnavailable(`The connection to the provider failed: ${rootMessage(error)}`, { by: 'connection', cause: error });
  }
  if (error instanceof APIError) {
    const providerRequestId = error.requestID ?? undefined;
    const body = errorFrom(error.error ?? { message: error.message });
    if (error.status === undefined) return failureOfBody(body, 'The provider broke the stream off', { cause: error, providerRequestId });
    return failureOfStatus(error.status, body, {
      cause: error,
      providerRequestId,
      retryAfterMs: retryAfterOf(error.headers, nowMs),
      limits: limitsIn(error.headers),
    });
  }
  return unreadable(rootMessage(error), { cause: error, providerRequestId: undefined });
}

/** An error in the body of a response with status 200. */
export function failureInBody(body: ErrorBody, providerRequestId: string | undefined): ModelFailure {
  return failureOfBody(body, 'The provider answered 200 with an error', { providerRequestId });
}

/** The stream closed before the response was complete. @param hasBegun whether any event of the API came */
export function streamCut(providerRequestId: string | null, hasBegun: boolean): ModelUnavailable {
  const details = { providerRequestId: providerRequestId ?? undefined, mayConcernRequest: !hasBegun };
  return new ModelUnavailable('The stream ended before the response was complete', details);
}

/** An error without a status of its own. One that says nothing known is taken as transient, because the request itself had been accepted. */
function failureOfBody(body: ErrorBody, what: string, details: FailureDetails): ModelFailure {
  if (body.status !== undefined) return failureOfStatus(body.status, body, details);
  const message = `${what}: ${reasonOf(body)}`;
  if (isOf(quotaCodes, body) || isOf(keyCodes, body)) return new ModelCredentialRefused(message, details);
  if (isOf(limitCodes, body)) return sizeWords.test(body.message) ? new ModelRefused(message, details) : new ModelLimited(message, details);
  if (isOf(addressCodes, body) || addressWords.test(body.message)) return new ModelMisconfigured(message, details);
  if (isOf(passingCodes, body)) return new ModelUnavailable(message, details);
  const isFinal = isModeration(body) || isOf(refusedCodes, body) || isOf(modelCodes, body);
  return isFinal ? new ModelRefused(message, details) : new ModelUnavailable(message, { ...details, mayConcernRequest: body.isGuess });
}

function failureOfStatus(status: number, body: ErrorBody, details: FailureDetails): ModelFailure {
  const message = `The provider answered ${status}: ${reasonOf(body)}`;
  if (status >= 300 && status < 400) return new ModelMisconfigured(`${message} (redirects are not followed)`, details);
  switch (status) {
    case 401:
      return new ModelCredentialRefused(message, details);
    case 402:
      return sizeWords.test(body.message) ? new ModelRefused(message, details) : new ModelCredentialRefused(message, details);
    case 403:
      return failureOfForbidden(body, message, details);
    case 404:
      return failureOfNotFound(body, message, details);
    case 405:
      return new ModelMisconfigured(message, details);
    case 429:
      if (isOf(quotaCodes, body)) return new ModelCredentialRefused(message, details);
      return sizeWords.test(body.message) ? new ModelRefused(message, details) : new ModelLimited(message, details);
    case 408: // the provider gave up waiting for the request
    case 409: // the provider waited for a lock in vain
    case 425: // too early
    case 498: // no capacity left for this class of service
    case 499: // the provider's own proxy gave up
      return new ModelUnavailable(message, details);
    default:
      if (status >= 500) return new ModelUnavailable(message, details);
      return isOf(keyCodes, body) || keyWords.test(body.message)
        ? new ModelCredentialRefused(message, details)
        : new ModelRefused(message, details);
  }
}

/** 403 is a matter of the key, of the input (moderation) or of the model. Without a sign of the last two, the gateway has to find out. */
function failureOfForbidden(body: ErrorBody, message: string, details: FailureDetails): ModelFailure {
  if (isModeration(body) || isOf(modelCodes, body)) return new ModelRefused(message, details);
  return new ModelCredentialRefused(message, { ...details, mayConcernRequest: !isOf(keyCodes, body) && !isOf(quotaCodes, body) });
}

/** 404 is a matter of the model or of the address. Without a sign of either, the gateway has to find out. */
function failureOfNotFound(body: ErrorBody, message: string, details: FailureDetails): ModelFailure {
  if (isOf(addressCodes, body) || addressWords.test(body.message)) return new ModelMisconfigured(message, details);
  if (isOf(modelCodes, body) || modelWords.test(body.message)) return new ModelRefused(message, details);
  return new ModelMisconfigured(message, { ...details, mayConcernRequest: true });
}

function isModeration(body: ErrorBody): boolean {
  return body.isModeration || isOf(moderationCodes, body) || moderationWords.test(body.message);
}

function isOf(codes: ReadonlySet<string>, { code, type }: ErrorBody): boolean {
  return codes.has(code ?? '') || codes.has(type ?? '');
}

function reasonOf({ code, message }: ErrorBody): string {
  return `${code === undefined || message.includes(code) ? '' : `${code}: `}${message}`.slice(0, messageLimit);
}

/** `retry-after-ms` is OpenAI's own and finer than the standard `Retry-After`. Both are cut to {@link longestPauseMs}. */
function retryAfterOf(headers: Headers | undefined, nowMs: number): number | undefined {
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, longestPauseMs) : parseRetryAfter(headers?.get('retry-after'), nowMs);
}

/** The refusal of the address guard, if that is what ended the call. */
function forbiddenAddress(error: Error): HostAddressForbidden | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) if (cause instanceof HostAddressForbidden) return cause;
  return undefined;
}

/** The SDK says only "Connection error."; the reason is in the cause. */
function rootMessage(error: unknown): string {
  let root = error;
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return (root instanceof Error ? root.message || root.name : String(root)).slice(0, messageLimit);
}
