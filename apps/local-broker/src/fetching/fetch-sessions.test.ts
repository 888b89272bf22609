import { expect, test } from 'vitest';
import { errorCodes } from '../wire/error-codes.js';
import { FetchSessions } from './fetch-sessions.js';
import type { FetchContext, FetchSessionRequest } from './fetch-sessions.js';

/** How many sessions are kept. The conformance suite of `libs/messaging` tests the responses that a client gets. */

const position = { topic: 't', partition: 0, offset: 0, maxBytes: 1_000 };

function request(changes: Partial<FetchSessionRequest> = {}): FetchSessionRequest {
  return { sessionId: 0, sessionEpoch: 0, positions: [position], forgotten: [], ...changes };
}

test('with a thousand sessions, a new one takes the place of the one used longest ago, if that was two minutes ago', () => {
  let now = 0;
  const sessions = new FetchSessions(() => now);
  const begin = () => (sessions.contextOf(request()) as FetchContext).sessionId;
  const ids = Array.from({ length: 1_000 }, begin);
  expect(new Set(ids).size).toBe(1_000);
  now = 100_000;
  expect(begin()).toBe(0);
  expect(sessions.contextOf(request({ sessionId: ids[0]!, sessionEpoch: 1 }))).toHaveProperty('sessionId', ids[0]);
  now = 120_000;
  expect(begin()).toBeGreaterThan(0);
  expect(sessions.size).toBe(1_000);
  expect(sessions.contextOf(request({ sessionId: ids[1]!, sessionEpoch: 1 }))).toBe(errorCodes.fetchSessionIdNotFound);
  expect(sessions.contextOf(request({ sessionId: ids[0]!, sessionEpoch: 2 }))).toHaveProperty('sessionId', ids[0]);
});

test('a session that begins in place of another, or whose last partition is forgotten, leaves nothing behind', () => {
  const sessions = new FetchSessions();
  const { sessionId } = sessions.contextOf(request()) as FetchContext;
  const next = sessions.contextOf(request({ sessionId })) as FetchContext;
  expect([next.sessionId === sessionId, sessions.size]).toEqual([false, 1]);
  const forgotten = [{ topic: 't', partition: 0 }];
  const left = sessions.contextOf(request({ sessionId: next.sessionId, sessionEpoch: 1, positions: [], forgotten }));
  expect([left, sessions.size]).toEqual([expect.objectContaining({ sessionId: 0, positions: [] }), 0]);
});
