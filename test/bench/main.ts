/**
 * `npm run bench`: measures the figures of docs/performance.md, each beside its baseline in the same run, and prints the table at the end.
 * `npm run bench -- acks consumer` runs those two.
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { setLogLevel } from '#libs/tracing';
import { parsedOrExit } from '../options.js';
import { benchAckLatency } from './ack-latency.js';
import { benchAcks } from './acks.js';
import { benchConsumer } from './consumer.js';
import { benchDispatcher } from './dispatcher.js';
import { startEnvironment } from './environment.js';
import type { BenchEnvironment } from './environment.js';
import { benchEvent, benchIdle, eventFlows } from './event.js';
import { benchGateway } from './gateway.js';
import { benchGrowth } from './growth.js';
import { benchLatency } from './latency.js';
import { benchLimits } from './limits.js';
import { benchNoisy } from './noisy.js';
import { benchOperations } from './operations.js';
import { benchPage } from './page.js';
import { tableOf } from './report.js';
import { benchVerification } from './verification.js';
import type { BenchRow } from './report.js';

type Bench = (environment: () => Promise<BenchEnvironment>) => Promise<BenchRow[]>;

const benches: Record<string, Bench> = {
  dispatcher: benchDispatcher,
  gateway: benchGateway,
  limits: benchLimits,
  consumer: async (environment) => benchConsumer(await environment()),
  acks: async (environment) => benchAcks(await environment()),
  'ack-latency': async (environment) => benchAckLatency(await environment(), Number(values.rounds)),
  verification: async (environment) => benchVerification(await environment()),
  latency: async (environment) => benchLatency(await environment()),
  noisy: async (environment) => benchNoisy(await environment(), Number(values.rounds)),
  page: async (environment) => benchPage(await environment(), Number(values.rounds)),
  event: async (environment) =>
    benchEvent(await environment(), {
      rounds: Number(values.rounds),
      flows: eventFlows.filter((flow) => values.flow === undefined || flow === values.flow),
      writesFigures: values.figures && values.flow === undefined,
    }),
  operations: async (environment) => benchOperations(await environment(), Number(values.rounds)),
  idle: async (environment) => benchIdle(await environment()),
  growth: () => benchGrowth({ events: Number(values.events), rounds: 3, perRound: 3_000 }),
};

const { positionals: wanted, values } = parsedOrExit(
  `npm run bench -- [${Object.keys(benches).join('] [')}] [--events 1000000] [--rounds 4] [--flow ${eventFlows.join('|')}] [--statements] [--figures]`,
  () =>
    parseArgs({
      allowPositionals: true,
      options: {
        /** For `growth`: events stored in the larger database. */
        events: { type: 'string', default: '1000000' },
        /**
         * For `noisy`: the number of calm phases, and of noisy ones, of 8 s each. For `page`, `operations` and `ack-latency`: the number of measured rounds.
         * For `event`: the number of starts of each contestant.
         */
        rounds: { type: 'string', default: '4' },
        /** For `event`: only this flow. */
        flow: { type: 'string' },
        /** For `event`: also prints the statements that cost most. Counting them costs Postgres a little. */
        statements: { type: 'boolean', default: false },
        /** For `event` with both flows: also writes the figures that `npm run capacity` reads. */
        figures: { type: 'boolean', default: false },
      },
    }),
);
const unknown = wanted.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}.`);
  process.exit(2);
}

if (values.flow !== undefined && !eventFlows.some((flow) => flow === values.flow)) {
  console.error(`There is no flow ${values.flow}; there are ${eventFlows.join(', ')}.`);
  process.exit(2);
}

setLogLevel('error');
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1)); // what was started ends with it
let started: Promise<BenchEnvironment> | undefined;
const environment = (): Promise<BenchEnvironment> => (started ??= startEnvironment({ countStatements: values.statements }));
const results: { command: string; rows: BenchRow[] }[] = [];
try {
  for (const [name, bench] of Object.entries(benches)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const [load] = loadavg();
    console.log(`\n━━ ${name} (load of the machine before it: ${load!.toFixed(1)})`);
    results.push({ command: `npm run bench -- ${name}`, rows: await bench(environment) });
  }
} finally {
  await (await started)?.stop();
}
console.log(`\n${tableOf(results)}`);
