import { expect, test } from 'vitest';
import { checkCached } from './caching.js';
import type { CachedRun } from './caching.js';
import { idOf } from './history.js';
import type { PartnerRequest, Ticket } from './history.js';

const ticket = (sequence: number): Ticket => ({ customer: 'c', lane: 'normal', sequence });
const answered = { why: 'first', at: 0, endedAt: 1, outcome: 'ok', eventId: 'evt_1', response: '200' } as const;
const requests = [1, 2].map((sequence): PartnerRequest => ({ ...ticket(sequence), ...answered }));
const run = (sequence: number, more: Partial<CachedRun> = {}): CachedRun => ({
  ticket: idOf(ticket(sequence)),
  state: 'completed',
  decision: { message: 'm', topic: 'billing' },
  hasAsked: sequence === 1,
  ...more,
});

test('events that are decided, equal ones equally, are no violation', () => {
  expect(checkCached({ requests }, [run(1), run(2)])).toEqual([]);
  expect(checkCached({ requests }, [run(1), run(2, { decision: { message: 'other', topic: 'product' } })])).toEqual([]);
});

test('an event without a decision is lost, and an output of another question is one of the cache', () => {
  expect(checkCached({ requests }, [run(1)])).toMatchObject([{ kind: 'lost', ticket: idOf(ticket(2)) }]);
  expect(checkCached({ requests }, [run(1), run(2, { state: 'failed', decision: null })])).toMatchObject([{ kind: 'lost' }]);
  const mixedUp = run(2, { decision: { message: 'm', topic: 'product' } });
  expect(checkCached({ requests }, [run(1), mixedUp])).toMatchObject([{ kind: 'cache', ticket: idOf(ticket(2)) }]);
});
