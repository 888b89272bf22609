import { expect, test } from 'vitest';
import { planFaults } from './fault-plan.js';
import { injectedKinds } from './options.js';

const tenMinutes = { kinds: injectedKinds, durationMs: 600_000 };

test('a seed says all, and another seed says something else', () => {
  expect(planFaults({ seed: 7, ...tenMinutes })).toEqual(planFaults({ seed: 7, ...tenMinutes }));
  expect(planFaults({ seed: 8, ...tenMinutes })).not.toEqual(planFaults({ seed: 7, ...tenMinutes }));
});

test.each([1, 2, 3, 42, 1_000])('ten minutes of seed %i hold at least twenty kills, and every kind of fault', (seed) => {
  const plan = planFaults({ seed, ...tenMinutes });
  expect(plan.filter(({ kind }) => ['kill', 'broker', 'postgres'].includes(kind)).length).toBeGreaterThanOrEqual(20);
  expect(new Set(plan.map(({ kind }) => kind))).toEqual(new Set(injectedKinds));
});

test('no fault begins so late that nothing would be seen of it, and only wanted kinds are drawn', () => {
  const plan = planFaults({ seed: 1, kinds: ['sink'], durationMs: 60_000 });
  expect(plan.every(({ kind, at }) => kind === 'sink' && at < 52_000)).toBe(true);
  expect(planFaults({ seed: 1, kinds: [], durationMs: 60_000 })).toEqual([]);
});

test('a run that is too short for the faults asked for is refused, because it would pass without any', () => {
  expect(() => planFaults({ seed: 1, kinds: ['model'], durationMs: 12_000 })).toThrow('0.2 minutes have no room for a fault');
  expect(planFaults({ seed: 1, kinds: ['model'], durationMs: 18_000 })).not.toEqual([]);
});
