import { expect, test } from 'vitest';
import { checkDecisions } from './deciding.js';
import type { CallerAnswer, StoredDecision } from './deciding.js';

const answer = (more: Partial<CallerAnswer> = {}): CallerAnswer => ({
  eventId: 'evt_1',
  decision: { topic: 'billing' },
  reason: null,
  tookMs: 100,
  ...more,
});
const stored = (more: Partial<StoredDecision> = {}): StoredDecision => ({
  eventId: 'evt_1',
  state: 'completed',
  decision: { topic: 'billing' },
  reason: null,
  ...more,
});
const byDefault = { decision: { topic: 'unknown' }, reason: 'decision.deadline' };
const unconfirmed = { decision: { topic: 'unknown' }, reason: 'decision.unconfirmed' };

test.each([
  ['the same decision is', answer(), [stored()], 0],
  ['the same default decision is', answer(byDefault), [stored(byDefault)], 0],
  ['another decision is not', answer(byDefault), [stored()], 1],
  ['another reason is not', answer({ ...byDefault, reason: 'model.refused' }), [stored(byDefault)], 1],
  ['nothing stored is not', answer(), [], 1],
  ['a run that has not ended is not', answer(), [stored({ state: 'running' })], 1],
  ['what was not confirmed may be another one', answer(unconfirmed), [stored()], 0],
  ['what was not confirmed must have a decision', answer(unconfirmed), [], 1],
])('%s what a caller may have been told', (_, told, runs, violations) => {
  expect(checkDecisions([told], runs)).toHaveLength(violations);
});
