/** `npm run bench`: the numbers of docs/performance.md, each beside its baseline in the same run. `npm run bench -- acks` runs one of them. */
import { benchAcks } from './acks.js';
import { benchDispatcher } from './dispatcher.js';
import { startEnvironment } from './environment.js';
import type { BenchEnvironment } from './environment.js';
import { benchLatency } from './latency.js';

type Bench = (environment: () => Promise<BenchEnvironment>) => Promise<void>;

const benches: Record<string, Bench> = {
  dispatcher: benchDispatcher,
  acks: async (environment) => benchAcks(await environment()),
  latency: async (environment) => benchLatency(await environment()),
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}.`);
  process.exit(2);
}

let started: Promise<BenchEnvironment> | undefined;
const environment = (): Promise<BenchEnvironment> => (started ??= startEnvironment());
try {
  for (const [name, bench] of Object.entries(benches)) {
    if (wanted.length === 0 || wanted.includes(name)) await bench(environment);
  }
} finally {
  await (await started)?.stop();
}
