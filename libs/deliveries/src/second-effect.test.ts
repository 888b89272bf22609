import { expect, test } from 'vitest';
import type { Idempotency } from '#libs/contracts';
import { promiseOf, secondEffect, secondEffectsOf } from './second-effect.js';

const minute = 60_000;
const hour = 60 * minute;
const reachedAt = new Date('2026-11-29T10:00:00.000Z');
const at = (
  idempotency: Idempotency,
  afterMs: number,
  more: { reachedAt?: Date | null; atLeastOnce?: boolean; timeoutMs?: number } = {},
) => {
  const { timeoutMs = 10_000, ...delivery } = more;
  return secondEffect({ idempotency, timeoutMs }, { reachedAt, atLeastOnce: false, ...delivery }, reachedAt.getTime() + afterMs);
};

test('what never reached the destination takes effect once', () => {
  for (const idempotency of [{ class: 'none' }, { class: 'key', windowMs: hour }] as const) {
    expect(at(idempotency, 999 * hour, { reachedAt: null })).toBeUndefined();
  }
});

test('a destination that takes each request anew needs the consent of the flow', () => {
  expect(at({ class: 'none' }, 1)).toBe('takes each request anew (idempotency class none)');
  expect(at({ class: 'none' }, 1, { atLeastOnce: true })).toBeUndefined();
});

test('for ever: a key without a window, an upsert and an absolute value', () => {
  for (const idempotency of [{ class: 'key' }, { class: 'upsert' }, { class: 'absolute' }] as const) {
    expect(at(idempotency, 999 * hour)).toBeUndefined();
  }
});

test.each([
  ['an hour before the end of a day', 24 * hour, 23 * hour, 10_000],
  ['a tenth before the end of an hour', hour, 54 * minute, 10_000],
  ['two deadlines before the end of ten minutes', 10 * minute, 8 * minute, minute],
])('a key is trusted until %s', (_, windowMs, lastMs, timeoutMs) => {
  expect(at({ class: 'key', windowMs }, lastMs - 1, { timeoutMs })).toBeUndefined();
  expect(at({ class: 'key', windowMs }, lastMs, { timeoutMs })).toMatch(/^keeps an effect key for (24 h|1 h|10 min) only$/);
});

test('consent to two effects is not consent to forget a window', () => {
  expect(at({ class: 'key', windowMs: hour }, 2 * hour, { atLeastOnce: true })).toBeDefined();
});

test.each([
  [{ class: 'key' }, /^Takes effect once: .* effect key\.$/],
  [{ class: 'key', windowMs: 24 * hour }, /for 24 h, and is sent none after that\.$/],
  [{ class: 'upsert' }, /never after a newer delivery/],
  [{ class: 'absolute' }, /changes nothing/],
  [{ class: 'none' }, /at most once.*`atLeastOnce: true`/],
] as const)('the promise of %j is one sentence for a person', (idempotency, words) => {
  expect(promiseOf(idempotency)).toMatch(words);
});

test('the moment up to which repeats take a second effect is that of the sentence', () => {
  const rules = { idempotency: { class: 'key', windowMs: 10 * minute }, timeoutMs: minute } as const;
  const atMs = reachedAt.getTime() + 8 * minute;
  expect(secondEffectsOf(rules, atMs)).toEqual({ reachedByMs: reachedAt.getTime(), unlessConsented: false });
  expect(secondEffectsOf({ ...rules, idempotency: { class: 'none' } }, atMs)).toEqual({ reachedByMs: Infinity, unlessConsented: true });
  for (const idempotency of [{ class: 'key' }, { class: 'upsert' }, { class: 'absolute' }] as const)
    expect(secondEffectsOf({ ...rules, idempotency }, atMs)).toBeUndefined();
});
