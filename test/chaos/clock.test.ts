import { expect, test } from 'vitest';
import { checkTicks, clockSpan } from './clock.js';

const span = clockSpan(5_500, 3 / 60);
const tick = (atMs: number, completedRuns = 1): { atMs: number; completedRuns: number } => ({ atMs, completedRuns });
const all = [11_000, 12_000, 13_000].map((atMs) => tick(atMs));
const found = (ticks: typeof all): string[] => checkTicks(span, ticks).map(({ kind, ticket }) => `${kind} ${ticket}`);

test('every second of the span is a tick', () => {
  expect(span).toEqual({ fromMs: 11_000, untilMs: 14_000 });
  expect(found(all)).toEqual([]);
});

test('a tick without event or run is lost, one with two is a second effect, and others are phantoms', () => {
  expect(found(all.slice(1))).toEqual(['lost tick 1970-01-01T00:00:11.000Z']);
  expect(found([...all.slice(1), tick(11_000, 0)])).toEqual(['lost tick 1970-01-01T00:00:11.000Z']);
  expect(found([...all, tick(12_000)])).toEqual(['second effect tick 1970-01-01T00:00:12.000Z']);
  expect(found([...all.slice(0, 2), tick(13_000, 2)])).toEqual(['second effect tick 1970-01-01T00:00:13.000Z']);
  expect(found([...all, tick(13_500)])).toEqual(['phantom tick 1970-01-01T00:00:13.500Z']);
});
