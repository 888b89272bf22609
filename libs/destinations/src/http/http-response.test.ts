import { expect, test } from 'vitest';
import { DeliveryGone, DeliveryRefused, DeliveryUnauthorized, DeliveryUnavailable } from '../delivery.errors.js';
import { receiptOf } from './http-response.js';

const nowMs = Date.parse('2026-11-21T10:00:00Z');
const response = (status: number, headers: Record<string, string> = {}) => ({ status, headers, bodyExcerpt: 'text' });
const failureOf = (status: number, headers?: Record<string, string>): unknown => {
  try {
    return receiptOf(response(status, headers), nowMs);
  } catch (error) {
    return error;
  }
};

test.each([200, 201, 202, 204, 299])('%d has taken the payload', (status) =>
  expect(receiptOf(response(status), nowMs)).toEqual({ summary: `status ${status}`, detail: { status, excerpt: 'text' } }),
);

test.each([408, 409, 425, 429, 500, 502, 503, 504, 529])('%d may be another response soon', (status) => {
  const failure = failureOf(status);
  expect(failure).toBeInstanceOf(DeliveryUnavailable);
  expect(failure).toMatchObject({ outcome: 'retry', receipt: { detail: { status, excerpt: 'text' } } });
});

test.each([301, 302, 307, 308, 400, 403, 404, 413, 422])('%d refuses the payload for good', (status) =>
  expect(failureOf(status)).toBeInstanceOf(DeliveryRefused),
);

test('401 is about the credential, not about the payload', () => {
  expect(failureOf(401)).toBeInstanceOf(DeliveryUnauthorized);
});

test('410 says that the destination is gone', () => {
  expect(failureOf(410)).toBeInstanceOf(DeliveryGone);
});

test.each([
  [429, '7', 7_000],
  [503, 'Sat, 21 Nov 2026 10:01:00 GMT', 60_000],
  [503, '31536000', 24 * 3_600_000],
  [503, 'soon', undefined],
  [500, '7', undefined],
])('%d with Retry-After: %s asks for %s ms', (status, header, expected) => {
  expect((failureOf(status, { 'retry-after': header }) as DeliveryUnavailable).retryAfterMs).toBe(expected);
});

test.each([
  [500, true],
  [502, true],
  [503, true],
  [504, true],
  [501, false],
  [505, false],
  [408, false],
  [409, false],
  [425, false],
  [429, false],
])('after %d it is uncertain whether the payload was taken: %s', (status, isUncertain) => {
  expect(failureOf(status)).toMatchObject({ isUncertain });
});

test('a server that asks for a pause has not taken the payload', () => {
  expect(failureOf(503, { 'retry-after': '7' })).toMatchObject({ isUncertain: false });
});

test('a redirect is refused with the remark that it is not followed', () =>
  expect(failureOf(302)).toMatchObject({
    message: 'The destination refused the payload with status 302, a redirect, which is not followed',
  }));
