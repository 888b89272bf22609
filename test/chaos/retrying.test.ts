import { expect, test } from 'vitest';
import { idOf } from './history.js';
import type { PartnerRequest, Ticket } from './history.js';
import { checkRetried } from './retrying.js';
import type { RetriedRun } from './retrying.js';

const ticket: Ticket = { customer: 'c', lane: 'normal', sequence: 10 };
const answered = { why: 'first', at: 0, endedAt: 1, outcome: 'ok', eventId: 'evt_1', response: '200' } as const;
const requests = [9, 10].map((sequence): PartnerRequest => ({ ...ticket, sequence, ...answered }));
const run = (id: string, more: Partial<RetriedRun> = {}): RetriedRun => ({
  id,
  eventId: 'evt_1',
  ticket: idOf(ticket),
  state: 'failed',
  errorCode: 'flow.expressionFailed',
  deadLetterId: null,
  ...more,
});
const completed = { state: 'completed', errorCode: null };
const retried = [run('run_0'), run('run_1', { deadLetterId: 'dlq_0' }), run('run_2', { deadLetterId: 'dlq_1', ...completed })];
const arrival = { webhookId: 'dlv_1', eventId: 'evt_1' };

test('an event whose retries come to one decision and one delivery is right, repeats of that and cancelled retries, too', () => {
  expect(checkRetried({ requests }, retried, [arrival])).toEqual([]);
  const cancelled = run('run_3', { deadLetterId: 'dlq_1', errorCode: 'run.cancelled' });
  expect(checkRetried({ requests }, [...retried, cancelled], [arrival, arrival])).toEqual([]);
});

test.each([
  ['without a decision is lost', [run('run_0')], [arrival], ['lost']],
  ['without a delivery is lost', retried, [], ['lost']],
  ['with a dead letter that was retried twice', [...retried, run('run_3', { deadLetterId: 'dlq_0' })], [arrival], ['second effect']],
  ['with two decisions', [...retried, run('run_3', { deadLetterId: 'dlq_2', ...completed })], [arrival], ['second effect']],
  ['with two deliveries', retried, [arrival, { ...arrival, webhookId: 'dlv_2' }], ['second effect']],
])('an event %s', (_, runs, arrivals, kinds) => {
  const violations = checkRetried({ requests }, runs, arrivals);
  expect(violations.map(({ kind, ticket: of }) => [kind, of])).toEqual(kinds.map((kind) => [kind, idOf(ticket)]));
});
