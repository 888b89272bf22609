/** `npm run fuzz`: drawn conversations with every door of a standalone process. Ends with status 1 if it finds something. */
import { parseArgs } from 'node:util';
import { parsedOrExit } from '../options.js';
import { fuzz } from './fuzz.js';

const { values } = parsedOrExit('npm run fuzz -- [--conversations 5000] [--seed 42] [--concurrency 8]', () =>
  parseArgs({
    options: {
      conversations: { type: 'string', default: '5000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      concurrency: { type: 'string', default: '8' },
    },
  }),
);
/** The issue that asked for this sets it. */
const longestBlockMs = 250;

const seed = Number(values.seed);
console.log(`npm run fuzz -- --conversations ${values.conversations} --seed ${seed} --concurrency ${values.concurrency}`);
const report = await fuzz({ conversations: Number(values.conversations), seed, concurrency: Number(values.concurrency) }, (line) =>
  console.log(line),
);
for (const [outcome, count] of Object.entries(report.outcomes)) console.log(`${String(count).padStart(7)}  ${outcome}`);
for (const defect of report.defects.slice(0, 5)) console.log(`--- a defect:\n${defect}`);
for (const { ms, outcome, bytes } of report.slowest.slice(0, 3)) console.log(`--- took ${ms} ms, ${outcome}:\n${bytes}`);
for (const { healthMs, during } of report.blocks) {
  console.log(`=== /healthz took ${healthMs} ms during:`);
  for (const { ms, outcome, bytes } of during) console.log(`--- ${ms} ms, ${outcome}: ${bytes.slice(0, 400)}`);
}
const [, middle, end] = report.memoryMegabytes;
const findings = [
  ...(report.defects.length > 0 ? [`${report.defects.length} requests were answered 500`] : []),
  ...(report.healthMs.longest > longestBlockMs ? [`/healthz took ${report.healthMs.longest} ms once`] : []),
  ...(end > middle * 1.2 ? [`memory grew from ${middle} to ${end} MiB over the last third`] : []),
  ...(report.stillWorks ? [] : ['an ordinary event was not taken afterwards']),
];
console.log(
  `healthz: p99 ${report.healthMs.p99} ms, longest ${report.healthMs.longest} ms; memory ${report.memoryMegabytes.join(', ')} MiB`,
);
for (const finding of findings) console.log(finding);
process.exit(findings.length === 0 ? 0 : 1);
