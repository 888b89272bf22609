import { expect, test } from 'vitest';
import { fuzz } from '../fuzz/fuzz.js';
import { fuzzVerifiers } from '../fuzz/fuzz-verifiers.js';

test('drawn conversations with every door end no process, find no defect, and leave it at work', async () => {
  const report = await fuzz({ conversations: 600, seed: 8, concurrency: 4 });
  expect(report.defects).toEqual([]);
  expect(Object.keys(report.outcomes).filter((outcome) => outcome.endsWith('silent'))).toEqual([]);
  expect(report.stillWorks).toBe(true);
}, 300_000);

test('made-up requests are accepted by the verifier of no preset, and by none over HTTP, and crash nothing', async () => {
  const report = await fuzzVerifiers({ requests: 20_000, overHttp: 500, seed: 8 });
  expect(report.findings).toEqual([]);
  expect(report.statuses).toEqual({ '401': 500 });
}, 300_000);
