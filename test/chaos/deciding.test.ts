import { expect, test } from 'vitest';
import { checkDecisions, checkStreams, isWhole } from './deciding.js';
import type { CallerAnswer, EndedStream, StoredDecision } from './deciding.js';

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

const stream = (events: readonly string[], more: Partial<EndedStream> = {}): EndedStream => {
  return {
    id: 'o-1',
    events,
    draft: '',
    isComplete: true,
    decision: { eventId: 'evt_1', decision: { topic: 'billing' }, reason: null },
    ...more,
  };
};

test.each([
  ['one decision, the last event,', ['accepted', 'restart', 'skipped', 'decision'], 0],
  ['a decision alone', ['accepted', 'decision'], 0],
  ['no decision', ['accepted', 'restart'], 1],
  ['two decisions', ['accepted', 'decision', 'decision'], 1],
  ['a restart after the decision', ['accepted', 'decision', 'restart'], 1],
  ['a job in its place', ['accepted', 'job'], 1],
  ['no first event', ['decision'], 1],
  ['nothing', [], 1],
])('of a stream with %s', (_, events, violations) => {
  expect(checkStreams([stream(events)])).toHaveLength(violations);
});

test.each([
  ['is the text of the decision', '{ "topic": "billing" }', true, true],
  ['has no end', '{ "topic": "bil', true, false],
  ['is of another decision', '{ "topic": "other" }', true, false],
  ['has something missing', '{ "topic": "billing" }', false, false],
])('a draft that %s', (_, draft, isComplete, expected) => {
  expect(isWhole(stream([], { draft, isComplete }))).toBe(expected);
});
