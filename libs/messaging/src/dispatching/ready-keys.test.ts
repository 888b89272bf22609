import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lanes } from '#libs/contracts';
import type { Lane } from '#libs/contracts';
import { ReadyKeys } from './ready-keys.js';

test('of twelve turns eight are high, three normal and one low, and a lane keeps its order', () => {
  const ready = new ReadyKeys<string>(() => 0);
  for (let n = 0; n < 24; n += 1) for (const lane of lanes) ready.push(`${lane} ${n}`, lane, 'acme');
  const taken = Array.from({ length: 24 }, () => ready.shift()!);
  const of = (lane: Lane) => taken.filter((key) => key.startsWith(lane));
  expect([of('high').length, of('normal').length, of('low').length]).toEqual([16, 6, 2]);
  expect(of('normal')).toEqual(Array.from({ length: 6 }, (_, n) => `normal ${n}`));
});

test('no turn is lost where a lane is empty', () => {
  const ready = new ReadyKeys<number>(() => 0);
  for (const n of [1, 2, 3]) ready.push(n, 'low', 'acme');
  expect([ready.shift(), ready.shift(), ready.shift(), ready.shift()]).toEqual([1, 2, 3, undefined]);
});

test('a key moves up one lane per five seconds of waiting', () => {
  let now = 0;
  const ready = new ReadyKeys<string>(() => now);
  ready.push('old and low', 'low', 'acme');
  now = 4_999;
  expect(ready.shift({ highOnly: true })).toBeUndefined();
  now = 5_000;
  expect(ready.shift({ highOnly: true })).toBeUndefined();
  now = 10_000;
  expect(ready.shift({ highOnly: true })).toBe('old and low');
});

test('tenants take turns, however many keys one of them has', () => {
  const ready = new ReadyKeys<string>(() => 0);
  for (const n of [1, 2, 3, 4]) ready.push(`many ${n}`, 'normal', 'many');
  ready.push('one 1', 'normal', 'one');
  ready.push('two 1', 'normal', 'two');
  expect(Array.from({ length: 6 }, () => ready.shift())).toEqual(['many 1', 'one 1', 'two 1', 'many 2', 'many 3', 'many 4']);
});

test('a tenant that is full gets no turn, and keeps its keys', () => {
  const ready = new ReadyKeys<string>(() => 0);
  for (const lane of lanes) ready.push(`full ${lane}`, lane, 'full');
  ready.push('other', 'low', 'other');
  const isFull = (tenant: string): boolean => tenant === 'full';
  expect([ready.shift({ isFull }), ready.shift({ isFull }), ready.shift({ isFull, highOnly: true })]).toEqual([
    'other',
    undefined,
    undefined,
  ]);
  expect(lanes.map(() => ready.shift()!).toSorted()).toEqual(lanes.map((lane) => `full ${lane}`).toSorted());
});

test('however much more urgent work keeps coming, every key gets its turn, and none is lost or doubled', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...lanes), fc.constantFrom('acme', 'globex', 'initech'), fc.integer({ min: 0, max: 3 })), {
        maxLength: 200,
      }),
      (pushes) => {
        let now = 0;
        const ready = new ReadyKeys<number>(() => now);
        const taken: number[] = [];
        for (const [n, [lane, tenant, turnsAfter]] of pushes.entries()) {
          ready.push(n, lane, tenant);
          for (let turn = 0; turn < turnsAfter; turn += 1) {
            now += 700;
            const key = ready.shift();
            if (key !== undefined) taken.push(key);
          }
        }
        for (let key = ready.shift(); key !== undefined; key = ready.shift()) taken.push(key);
        expect(taken.toSorted((a, b) => a - b)).toEqual(pushes.map((_, n) => n));
      },
    ),
  );
});
