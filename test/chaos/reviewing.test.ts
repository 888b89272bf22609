import { expect, test } from 'vitest';
import type { History } from './history.js';
import { checkReviews } from './reviewing.js';
import type { StoredReview, ToldDecision } from './reviewing.js';

const ticket = { customer: 'customer-1', lane: 'normal', sequence: 8 } as const;
const history = { requests: [{ ...ticket, outcome: 'ok' }] } as unknown as History;
const stored = (more: Partial<StoredReview> = {}): StoredReview => ({
  id: 'rev_1',
  ticket: 'customer-1/normal/8',
  state: 'decided',
  outcome: 'approved',
  value: { sequence: 8 },
  decidedBy: 'Ada (operator)',
  runState: 'completed',
  decision: { outcome: 'approved', value: { sequence: 8 } },
  ...more,
});
const ada: ToldDecision = { review: 'rev_1', person: 'Ada', outcome: 'approved', told: 'counts' };
const bob: ToldDecision = { review: 'rev_1', person: 'Bob', outcome: 'corrected', told: 'refused' };
const expired = { state: 'expired', outcome: 'expired', value: { sequence: 0 }, decidedBy: null };

test('a review that one person decided, or nobody did, is right where its run says the same', () => {
  expect(checkReviews(history, [stored()], [ada, bob])).toEqual([]);
  expect(checkReviews(history, [stored()], [{ ...ada, told: 'unknown' }, bob])).toEqual([]);
  expect(checkReviews(history, [stored({ ...expired, decision: { outcome: 'expired', value: { sequence: 0 } } })], [])).toEqual([]);
});

test.each<[string, StoredReview[], ToldDecision[], string]>([
  ['that nobody was asked', [], [], 'no person was asked about it'],
  ['that is open at the end', [stored({ state: 'open' })], [], 'is open at the end'],
  ['whose run stands still', [stored({ runState: 'waiting' })], [ada], 'its run is waiting'],
  ['whose run went on with something else', [stored({ ...expired })], [], 'its run went on with'],
  ['that two people decided', [stored()], [ada, { ...bob, told: 'counts' }], 'Ada and Bob, as both were told'],
  ['that counts as something else than its person was told', [stored()], [{ ...bob, told: 'counts' }], 'was told that corrected counts'],
  ['whose person was told that it does not count', [stored()], [{ ...ada, told: 'refused' }], 'who was told that it is not'],
])('a review %s is found', (_, reviews, told, what) => {
  expect(checkReviews(history, reviews, told)).toMatchObject([{ what: expect.stringContaining(what) as string }]);
});
