import { expect, test } from 'vitest';
import { fuzz } from '../fuzz/fuzz.js';

test('drawn conversations with every door end no process, find no defect, and leave it at work', async () => {
  const report = await fuzz({ conversations: 600, seed: 8, concurrency: 4 });
  expect(report.defects).toEqual([]);
  expect(Object.keys(report.outcomes).filter((outcome) => outcome.endsWith('silent'))).toEqual([]);
  expect(report.stillWorks).toBe(true);
}, 300_000);
