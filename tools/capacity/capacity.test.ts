import { expect, test } from 'vitest';
import { capacityOf, defaultOptions } from './capacity.js';
import type { FlowFigures, Figures } from './figures.js';

const cpu = (ms: number) => ({ ingestion: ms, 'ai-processing': ms, connectors: ms, query: 0, log: ms, Postgres: ms });
const flow: FlowFigures = {
  command: 'npm run bench',
  day: '2026-11-29',
  load: 0,
  bodyBytes: 1_000,
  saturatedCpuMs: cpu(1),
  saturatedPerSecond: 500,
  atRateCpuMs: cpu(3),
  ratePerSecond: 100,
  restMiB: cpu(100),
  loadedMiB: cpu(128),
  walBytes: 10_000,
  logBytes: 2_000,
  storedBytes: 3_000,
};
const figures: Figures = { deliver: flow, assess: flow };
const at = (rate: number, more: Partial<typeof defaultOptions> = {}) => capacityOf(figures, rate, { ...defaultOptions, ...more });

test('up to the rate of the bench an event costs what it cost there, beyond it what it costs in full batches', () => {
  expect(at(100).services['ai-processing'].cores).toBeCloseTo(0.3);
  expect(at(1_000).services['ai-processing'].cores).toBeCloseTo(1);
});

test('there are as many pods as the cores need, and never fewer than the least', () => {
  expect(at(100).services['ai-processing'].pods).toBe(2);
  expect(at(6_000).services['ai-processing'].pods).toBe(10);
  expect(at(6_000).services['ai-processing'].memoryMiB).toBe(1_280);
});

test('events that wait for a model need places for those under way', () => {
  expect(at(1_000, { modelMs: 2_000 }).services['ai-processing'].pods).toBe(10);
});

test('connections follow from pods, and partitions from the pods that share them', () => {
  const { services, connections, partitions } = at(30_000);
  expect(services['ai-processing'].pods).toBe(50);
  expect(partitions).toBe(100);
  expect(connections).toBe(50 * 21 * 3 + 3 * 41);
  expect(at(100).partitions).toBe(24);
});

test('disks follow from bytes, copies and days', () => {
  const { postgresGbPerDay, postgresGb, walGbPerDay, logGbPerDay, logGb } = at(1_000);
  expect(postgresGbPerDay).toBeCloseTo(259.2);
  expect(postgresGb).toBeCloseTo(30 * 259.2);
  expect(walGbPerDay).toBeCloseTo(864);
  expect(logGbPerDay).toBeCloseTo(3 * 172.8);
  expect(logGb).toBeCloseTo(21 * 172.8);
  expect(at(1_000, { eventBytes: 2_000 }).postgresGbPerDay).toBeCloseTo(259.2 + 172.8);
});
