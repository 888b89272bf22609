import { expect, test } from 'vitest';
import { checkTried } from './trying.js';
import type { TriedArrival, TriedEvidence, TriedRun } from './trying.js';

const run = (id: string, version: number, more: Partial<TriedRun> = {}): TriedRun => ({
  id,
  ticket: 'customer-1/normal/8',
  version,
  state: 'completed',
  decision: { version },
  commandId: version === 1 ? 'cmd_1' : null,
  ...more,
});
const evidence = (more: Partial<TriedEvidence> = {}): TriedEvidence => ({
  trials: [{ id: 'trl_1', state: 'completed', errorCode: null }],
  openPromotions: 0,
  runs: [run('run_0', 2), run('run_1', 1)],
  deliveries: [
    { id: 'dlv_0', runId: 'run_0', state: 'delivered' },
    { id: 'dlv_1', runId: 'run_1', state: 'delivered' },
  ],
  ...more,
});
const arrivals: TriedArrival[] = [
  { webhookId: 'dlv_0', version: 2 },
  { webhookId: 'dlv_1', version: 1 },
  { webhookId: 'dlv_1', version: 1 },
];

test('trials that end, and a promoted generation that is delivered under one id, are right', () => {
  expect(checkTried(evidence(), arrivals)).toEqual([]);
});

const second = { id: 'dlv_2', runId: 'run_1', state: 'delivered' };
const ofTrial = { id: 'dlv_9', runId: 'trl_1', state: 'delivered' };
test.each<[string, Partial<TriedEvidence>, TriedArrival[], string]>([
  ['a trial that does not end', { trials: [{ id: 'trl_1', state: 'running', errorCode: null }] }, arrivals, 'trl_1 has not ended'],
  ['a trial that fails', { trials: [{ id: 'trl_1', state: 'failed', errorCode: 'trial.defect' }] }, arrivals, 'trl_1 failed: trial.defect'],
  ['a promotion that does not end', { openPromotions: 1 }, arrivals, '1 promotions have not ended'],
  ['a delivery of a trial', { deliveries: [...evidence().deliveries, ofTrial] }, arrivals, 'dlv_9 is of trl_1, which is no run'],
  ['a request of a trial', {}, [...arrivals, { webhookId: 'dlv_9', version: 99 }], 'dlv_9 was sent with what version 99 decides'],
  [
    'a decision of a trial',
    { runs: [run('run_0', 2, { decision: { version: 99 } }), run('run_1', 1)] },
    arrivals,
    'run_0 decided as {"version":99}',
  ],
  ['a generation that nobody promoted', { runs: [run('run_0', 2), run('run_1', 1, { commandId: null })] }, arrivals, 'nobody promoted it'],
  ['a promotion that counts twice', { runs: [...evidence().runs, run('run_2', 1)] }, arrivals, 'run_1 and run_2 are of one command'],
  [
    'a generation that waits at the end',
    { runs: [run('run_0', 2), run('run_1', 1, { state: 'waiting' })] },
    arrivals,
    'run_1 is waiting at the end',
  ],
  ['a generation that is delivered twice', { deliveries: [...evidence().deliveries, second] }, arrivals, 'run_1 has 2 deliveries'],
  ['a generation that is not delivered', {}, arrivals.slice(0, 1), 'run_1 was not delivered'],
])('%s is found', (_, more, sent, what) => {
  expect(checkTried(evidence(more), sent)).toContainEqual(
    expect.objectContaining({ kind: 'trial', what: expect.stringContaining(what) as string }),
  );
});
