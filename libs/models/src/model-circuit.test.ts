import { expect, it } from 'vitest';
import { ModelCircuit } from './model-circuit.js';
import { ModelUnavailable } from './model.errors.js';

/** Calls that a process makes of a model that is away, if it wants to make one every 100 ms and each fails after a second. */
function callsWithin(outageMs: number): number {
  let nowMs = 0;
  let calls = 0;
  const circuit = new ModelCircuit({ tenant: 'acme', provider: 'mine', model: 'm' }, () => nowMs);
  const flying: { endsAtMs: number; passage: ReturnType<ModelCircuit['enter']> }[] = [];
  for (; nowMs < outageMs; nowMs += 100) {
    while (flying[0] !== undefined && flying[0].endsAtMs <= nowMs)
      circuit.leave(flying.shift()!.passage, new ModelUnavailable('away', { by: 'connection' }));
    try {
      flying.push({ endsAtMs: nowMs + 1_000, passage: circuit.enter() });
      calls += 1;
    } catch {
      // stopped
    }
  }
  return calls;
}

it('costs a process few calls in a long outage: those before it opens, and three for each time that it tries', () => {
  const [tenMinutes, anHour] = [callsWithin(600_000), callsWithin(3_600_000)];
  expect(tenMinutes).toBeLessThanOrEqual(60);
  expect(anHour).toBeLessThanOrEqual(160);
  expect(anHour, 'it goes on to try').toBeGreaterThan(60);
});
