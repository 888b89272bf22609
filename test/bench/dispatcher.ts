import { KeyOrderedDispatcher } from '#libs/messaging';
import type { DispatchResult } from '#libs/messaging';
import { median } from './numbers.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const records = 200_000;
const keys = 200;
const rounds = 5;

const noWork = async (): Promise<DispatchResult> => 'finished';

/** Measures the cost of the order per key: an empty handler for records of 200 keys, against the same handler awaited one by one. */
export async function benchDispatcher(): Promise<BenchRow[]> {
  const measured = { baseline: [] as number[], dispatcher: [] as number[] };
  for (let round = 0; round <= rounds; round += 1) {
    const baseline = await rateOf(oneByOne);
    const dispatcher = await rateOf(throughDispatcher);
    if (round === 0) continue; // warm-up
    measured.baseline.push(baseline);
    measured.dispatcher.push(dispatcher);
  }
  const [floor, rate] = [median(measured.baseline), median(measured.dispatcher)];
  const row = {
    what: 'key-ordered dispatcher, no work, in process',
    baseline: `${perSecond(floor)} (awaited one by one)`,
    millrace: perSecond(rate),
    ratio: (rate / floor).toFixed(2),
    target: '≥ 100 000 /s',
  };
  console.log(`${records} records of ${keys} keys, median of ${rounds} rounds: ${row.baseline}, ours ${row.millrace}`);
  return [row];
}

async function rateOf(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return records / ((performance.now() - startedAt) / 1_000);
}

async function oneByOne(): Promise<void> {
  for (let n = 0; n < records; n += 1) await noWork();
}

async function throughDispatcher(): Promise<void> {
  const dispatcher = new KeyOrderedDispatcher<number>({ concurrency: 200, handle: noWork });
  const queues = dispatcher.createQueues();
  for (let n = 0; n < records; n += 1) queues.add(`key-${n % keys}`, n);
  await dispatcher.idle();
}
