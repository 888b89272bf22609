import { expect, test } from 'vitest';
import type { PromiseViolation } from '../chaos/checker.js';
import type { Evidence } from '../chaos/evidence.js';
import type { PartnerRequest } from '../chaos/history.js';
import { judge } from './region-loss.js';

const acknowledged = (sequence: number, endedAt: number): PartnerRequest => ({
  customer: 'c',
  lane: 'high',
  sequence,
  why: 'first',
  at: endedAt - 10,
  endedAt,
  outcome: 'ok',
  eventId: `evt_${sequence}`,
  response: '200',
});

/** Events 1 and 4 are known to the second region, 2 and 3 are not; the first region was lost at 1 000 ms. */
function lossOf(...violations: PromiseViolation[]) {
  const requests = [acknowledged(1, 100), acknowledged(2, 700), acknowledged(3, 900), acknowledged(4, 2_000)];
  const events = [1, 4].map((sequence) => ({ id: `evt_${sequence}`, ticket: `c/high/${sequence}`, recordedAt: 0 }));
  return judge(violations, {
    history: { requests, arrivals: [] },
    evidence: { events, log: { events: events.slice(1) } } as unknown as Evidence,
    lostAt: 1_000,
  });
}

const left = (violation: PromiseViolation) => lossOf(violation).violations.get(violation.kind);

test('acknowledged events that the second region does not know are lost, and the age of the oldest one is told', () => {
  expect(lossOf()).toMatchObject({ lost: 2, delivered: 0, oldestLostMs: 300 });
});

test('what follows from a lost event is excused, and the same of another event is not', () => {
  const lost = { kind: 'lost' as const, what: 'it is on the log and not in Postgres' };
  expect(left({ ...lost, ticket: 'c/high/2' })).toEqual([]);
  expect(left({ ...lost, ticket: 'c/high/4' })).toHaveLength(1);
  const phantom = { kind: 'phantom' as const, what: 'the sink got dlv_1, which is no delivery' };
  expect(left({ ...phantom, ticket: 'c/high/3' })).toEqual([]);
  expect(left({ ...phantom, ticket: 'c/high/1' })).toHaveLength(1);
});

test('a gap in the order is excused if everything in it is lost', () => {
  const order = { kind: 'order' as const, ticket: 'c/high/4' };
  expect(left({ ...order, what: 'it arrived after 1' })).toEqual([]);
  expect(left({ ...order, what: 'it arrived after 0' })).toHaveLength(1);
  // Event 1 is finished in Postgres, and its record was not mirrored.
  expect(left({ ...order, what: 'on the log it comes after 0' })).toEqual([]);
  expect(left({ ...order, what: 'it arrived after 5' })).toHaveLength(1);
});

test('a second effect is never excused', () => {
  expect(left({ kind: 'second effect', ticket: 'c/high/2', what: 'the sink took two deliveries of it' })).toHaveLength(1);
});
