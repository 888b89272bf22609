/**
 * `npm run fuzz`: drawn conversations with every door of a standalone process. `npm run fuzz -- --verifiers 1000000`: made-up requests for the verifier of
 * every preset, and some of them over HTTP. Ends with status 1 if it finds something.
 */
import { parseArgs } from 'node:util';
import { parsedOrExit } from '../options.js';
import { fuzz } from './fuzz.js';
import { fuzzVerifiers } from './fuzz-verifiers.js';

const { values } = parsedOrExit(
  'npm run fuzz -- [--conversations 5000] [--seed 42] [--concurrency 8] | --verifiers 1000000 [--over-http 20000] [--seed 42]',
  () =>
    parseArgs({
      options: {
        conversations: { type: 'string', default: '5000' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        concurrency: { type: 'string', default: '8' },
        /** Made-up requests for the verifiers, instead of conversations. */
        verifiers: { type: 'string' },
        /** Further ones over HTTP. */
        'over-http': { type: 'string', default: '20000' },
      },
    }),
);
/** The issue that asked for this sets it. */
const longestBlockMs = 250;

const seed = Number(values.seed);
if (values.verifiers !== undefined) await runVerifiers(Number(values.verifiers), Number(values['over-http']));
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

async function runVerifiers(requests: number, overHttp: number): Promise<never> {
  console.log(`npm run fuzz -- --verifiers ${requests} --over-http ${overHttp} --seed ${seed}`);
  const {
    verdicts,
    presets,
    statuses,
    findings: found,
    findingCount,
    requestsPerSecond,
  } = await fuzzVerifiers({ requests, overHttp, seed }, (line) => console.log(line));
  console.log(`${requests} requests for the verifiers of ${Object.keys(presets).length} presets, ${requestsPerSecond} /s`);
  for (const [verdict, count] of Object.entries(verdicts)) console.log(`${String(count).padStart(9)}  ${verdict}`);
  console.log(`${overHttp} requests over HTTP`);
  for (const [status, count] of Object.entries(statuses)) console.log(`${String(count).padStart(9)}  ${status}`);
  for (const finding of found) console.log(`--- ${finding}`);
  console.log(findingCount === 0 ? 'none was accepted, and none failed in another way' : `${findingCount} findings`);
  process.exit(findingCount === 0 ? 0 : 1);
}
