import * as errors from 'openai/error';
import { describe, expect, it } from 'vitest';
import { failureOfCall } from './openai.failures.js';

/** The failure for each error class of the SDK. A class that a new version adds fails the first test until it has a line here. */
const expected: Record<string, [error: () => unknown, code: string] | 'not thrown by the calls we make'> = {
  OpenAIError: [() => new errors.OpenAIError('odd'), 'model.unavailable'],
  APIError: [() => withStatus(418), 'model.refused'],
  APIConnectionError: [() => new errors.APIConnectionError({ message: 'no route' }), 'model.unavailable'],
  APIConnectionTimeoutError: [() => new errors.APIConnectionTimeoutError(), 'model.unavailable'],
  BadRequestError: [() => withStatus(400), 'model.refused'],
  AuthenticationError: [() => withStatus(401), 'model.credential'],
  PermissionDeniedError: [() => withStatus(403), 'model.credential'],
  NotFoundError: [() => withStatus(404), 'model.misconfigured'],
  ConflictError: [() => withStatus(409), 'model.unavailable'],
  UnprocessableEntityError: [() => withStatus(422), 'model.refused'],
  RateLimitError: [() => withStatus(429), 'model.limited'],
  InternalServerError: [() => withStatus(502), 'model.unavailable'],
  APIUserAbortError: 'not thrown by the calls we make', // only by our own signal, which the provider checks first
  LengthFinishReasonError: 'not thrown by the calls we make', // parse() only
  ContentFilterFinishReasonError: 'not thrown by the calls we make', // parse() only
  InvalidWebhookSignatureError: 'not thrown by the calls we make',
  OAuthError: 'not thrown by the calls we make', // workload identity only
  SubjectTokenProviderError: 'not thrown by the calls we make', // workload identity only
};

function withStatus(status: number, error: object = {}, headers: Record<string, string> = {}): errors.APIError {
  return errors.APIError.generate(status, { error: { message: 'scripted', ...error } }, undefined, new Headers(headers));
}

describe('failureOfCall', () => {
  it('classifies every error class of the SDK', () => {
    expect(Object.keys(expected).toSorted()).toEqual(Object.keys(errors).toSorted());
  });

  it.each(Object.entries(expected).filter((entry): entry is [string, [() => unknown, string]] => Array.isArray(entry[1])))(
    'classifies %s',
    (_, [error, code]) => {
      expect(failureOfCall(error(), 0).code).toBe(code);
    },
  );

  it.each([
    [401, {}, 'model.credential'],
    [402, {}, 'model.credential'],
    [429, { code: 'insufficient_quota' }, 'model.credential'],
    [429, { code: 'rate_limit_exceeded' }, 'model.limited'],
    [408, {}, 'model.unavailable'],
    [529, {}, 'model.unavailable'],
    [400, { code: 'content_filter' }, 'model.refused'],
    [413, {}, 'model.refused'],
  ])('classifies status %i with %j', (status, error, code) => {
    expect(failureOfCall(withStatus(status, error), 0).code).toBe(code);
  });

  it('reads a Retry-After date against the clock it is given', () => {
    const failure = failureOfCall(withStatus(429, {}, { 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT' }), Date.UTC(1994, 10, 6, 8, 49, 0));
    expect(failure.retryAfterMs).toBe(37_000);
  });

  it('names the reason under the SDK’s "Connection error."', () => {
    const reset = new Error('other side closed', { cause: new Error('read ECONNRESET') });
    expect(failureOfCall(new errors.APIConnectionError({ cause: reset }), 0).message).toContain('read ECONNRESET');
  });

  it('keeps a long answer of a provider out of the record', () => {
    expect(failureOfCall(withStatus(500, { message: 'x'.repeat(10_000) }), 0).message.length).toBeLessThan(600);
  });
});
