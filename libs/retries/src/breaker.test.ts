import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { afterCall, closedBreaker, isTroubled, phaseOf, standardBreaker, withAnswered } from './breaker.js';
import type { Breaker, CallOutcome } from './breaker.js';

const steady = (): number => 0.5;

/** A breaker on a clock that only moves by hand. */
function breakerAt(startMs: number) {
  let nowMs = startMs;
  let breaker: Breaker = closedBreaker;
  return {
    call(outcome: CallOutcome, { times = 1, beganAtMs = nowMs }: { times?: number; beganAtMs?: number } = {}) {
      for (let at = 0; at < times; at += 1) breaker = afterCall(breaker, { outcome, beganAtMs }, nowMs, standardBreaker, steady);
    },
    pass: (ms: number) => void (nowMs += ms),
    phase: () => phaseOf(breaker, nowMs),
    openForMs: () => breaker.openUntilMs! - nowMs,
    state: () => breaker,
  };
}

describe('it opens', () => {
  test('at half of twenty calls failed', () => {
    const breaker = breakerAt(0);
    breaker.call('answered', { times: 10 });
    breaker.call('failed', { times: 9 });
    expect(breaker.phase()).toBe('closed');
    breaker.call('failed');
    expect(breaker.phase()).toBe('open');
  });

  test('by the calls since the clock stepped back, not by those that lie ahead now', () => {
    const breaker = breakerAt(7_200_000);
    breaker.call('answered', { times: 10 });
    breaker.call('failed', { times: 9 });
    breaker.pass(-7_200_000);
    breaker.call('failed');
    expect(breaker.phase()).toBe('closed');
    expect(breaker.state().seconds).toEqual([[0, 1, 1]]);
  });

  test('after five calls in a row without an answer, and not where an answer came between', () => {
    const breaker = breakerAt(0);
    breaker.call('unanswered', { times: 4 });
    breaker.call('answered');
    breaker.call('unanswered', { times: 4 });
    expect(breaker.phase()).toBe('closed');
    breaker.call('unanswered');
    expect(breaker.phase()).toBe('open');
  });

  test('at once, and for long, where the credential is refused', () => {
    const breaker = breakerAt(0);
    breaker.call('credentialRefused');
    expect(breaker.openForMs()).toBe(300_000);
  });

  test('not for failures that are longer ago than its window', () => {
    const breaker = breakerAt(500);
    breaker.call('failed', { times: 15 });
    breaker.pass(30_000);
    breaker.call('failed', { times: 15 });
    expect(breaker.phase()).toBe('closed');
  });
});

test('a probe that fails opens it for twice as long, up to two minutes', () => {
  const breaker = breakerAt(0);
  breaker.call('unanswered', { times: 5 });
  const times: number[] = [];
  for (let round = 0; round < 7; round += 1) {
    times.push(breaker.openForMs());
    breaker.pass(breaker.openForMs());
    expect(breaker.phase()).toBe('halfOpen');
    breaker.call('failed');
  }
  expect(times).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 120_000, 120_000]);
});

test('two good probes close it, and it starts afresh', () => {
  const breaker = breakerAt(0);
  breaker.call('unanswered', { times: 5 });
  breaker.pass(5_000);
  breaker.call('answered');
  expect(breaker.phase()).toBe('halfOpen');
  breaker.call('answered');
  expect(breaker.state()).toEqual(closedBreaker);
});

test('what began before it opened neither keeps it open nor closes it', () => {
  const breaker = breakerAt(1_000);
  breaker.call('unanswered', { times: 5 });
  const { openUntilMs } = breaker.state();
  breaker.pass(5_000);
  breaker.call('unanswered', { beganAtMs: 900 });
  breaker.call('answered', { beganAtMs: 900, times: 2 });
  expect(breaker.state()).toMatchObject({ openUntilMs, successes: 0 });
});

test('it is never open for longer than its rules say, keeps a bounded memory, and good answers always close it again', () => {
  const outcomes = fc.array(
    fc.tuple(fc.constantFrom<CallOutcome>('answered', 'failed', 'unanswered'), fc.integer({ min: 0, max: 20_000 })),
  );
  fc.assert(
    fc.property(outcomes, fc.double({ min: 0, max: 1, noNaN: true }), (calls, random) => {
      let nowMs = 0;
      let breaker: Breaker = closedBreaker;
      const call = (outcome: CallOutcome) =>
        (breaker = afterCall(breaker, { outcome, beganAtMs: nowMs }, nowMs, standardBreaker, () => random));
      for (const [outcome, passMs] of calls) {
        nowMs += passMs;
        call(outcome);
        expect((breaker.openUntilMs ?? nowMs) - nowMs).toBeLessThanOrEqual(standardBreaker.longestOpenMs);
        expect(breaker.seconds.length).toBeLessThanOrEqual(31);
      }
      nowMs += standardBreaker.longestOpenMs;
      call('answered');
      call('answered');
      expect(phaseOf(breaker, nowMs)).toBe('closed');
    }),
  );
});

test('answered calls that are counted later weigh as much as if each had been counted at its time', () => {
  const call = (breaker: Breaker, outcome: CallOutcome, nowMs: number) =>
    afterCall(breaker, { outcome, beganAtMs: nowMs }, nowMs, standardBreaker, steady);
  const fail = (breaker: Breaker) => Array.from({ length: 29 }).reduce<Breaker>((one) => call(one, 'failed', 40_000), breaker);
  const answered = [
    { agoMs: 31_000, calls: 1_000 },
    { agoMs: 20_000, calls: 20 },
    { agoMs: 0, calls: 10 },
  ];
  const counted = fail(withAnswered(closedBreaker, answered, 40_000, standardBreaker));
  expect([phaseOf(counted, 40_000), phaseOf(call(counted, 'failed', 40_000), 40_000)]).toEqual(['closed', 'open']);
  expect(phaseOf(fail(closedBreaker), 40_000)).toBe('open');
  const open = call(closedBreaker, 'credentialRefused', 0);
  expect(withAnswered(open, answered, 40_000, standardBreaker)).toBe(open);
});

test('a breaker is troubled while something failed within its window', () => {
  const call = (breaker: Breaker, outcome: CallOutcome, nowMs: number) =>
    afterCall(breaker, { outcome, beganAtMs: nowMs }, nowMs, standardBreaker, steady);
  const troubled = call(call(closedBreaker, 'failed', 0), 'answered', 29_000);
  expect([closedBreaker, call(closedBreaker, 'answered', 0), troubled, call(troubled, 'answered', 30_000)].map(isTroubled)).toEqual([
    false,
    false,
    true,
    false,
  ]);
});
