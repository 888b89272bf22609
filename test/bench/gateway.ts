import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Pool } from 'undici';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { compileSchema } from '#libs/schemas';
import { infer } from './documents.js';
import { median, percentile } from './numbers.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const inFlight = 50;
const rounds = 5;
const secondsPerRound = 2;

/** The webhook that the model is asked about. */
const input = { action: 'opened', issue: { title: 'Checkout crashes', body: 'It throws an exception. '.repeat(20) } };

/** The result of one round. Latencies in ms. */
interface GatewayLoad {
  perSecond: number;
  p50: number;
  p99: number;
  /** User and system time of this process per call. Other processes affect it less than they affect latency. */
  cpuMicros: number;
}

/** Measures what the gateway adds to a call (prompts, checks, record, deadline) to the bare request with the same HTTP client and provider. */
export async function benchGateway(): Promise<BenchRow[]> {
  const provider = fork(new URL('./model-server.js', import.meta.url));
  const [port] = (await once(provider, 'message')) as [number];
  const origin = `http://127.0.0.1:${port}`;
  const pool = new Pool(origin, { connections: inFlight });
  const gateway = new ModelGateway({ provider: new OpenAiProvider({ baseUrl: `${origin}/v1`, apiKey: 'bench' }) });
  const calls = { bare: () => bareCall(pool), gateway: () => inferOnce(gateway) };
  const loads = { bare: [] as GatewayLoad[], gateway: [] as GatewayLoad[] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of ['bare', 'gateway'] as const) {
      const load = await measure(calls[name]);
      if (round > 0) loads[name].push(load); // the first warms up
    }
  }
  await pool.destroy();
  provider.kill('SIGKILL');
  const [bare, ours] = [medians(loads.bare), medians(loads.gateway)];
  const row = {
    what: `model gateway, ${inFlight} in flight, provider answers at once`,
    baseline: `${describe(bare)} (undici alone)`,
    millrace: describe(ours),
    ratio: `p50 + ${(ours.p50 - bare.p50).toFixed(1)} ms, p99 + ${(ours.p99 - bare.p99).toFixed(1)} ms`,
    target: 'p50 + ≤ 2 ms, p99 + ≤ 10 ms, ≥ 3 000 /s',
  };
  console.log(`${row.what}: ${row.baseline}, gateway ${row.millrace}: ${row.ratio}`);
  return [row];
}

async function bareCall(pool: Pool): Promise<void> {
  const messages = [
    { role: 'system', content: infer.instructions },
    { role: 'user', content: JSON.stringify(input) },
  ];
  const answer = await pool.request({
    path: '/v1/chat/completions',
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer bench' },
    body: JSON.stringify({ model: infer.model, messages }),
  });
  const { choices } = (await answer.body.json()) as { choices: [{ message: { content: string } }] };
  JSON.parse(choices[0].message.content);
}

const outputSchema = compileSchema(infer.output);

async function inferOnce(gateway: ModelGateway): Promise<void> {
  await gateway.infer({
    model: infer.model,
    instructions: infer.instructions,
    input,
    outputSchema,
    schemaName: 'assess',
    timeoutMs: 10_000,
    onAttempt: async () => undefined,
  });
}

/** Keeps {@link inFlight} calls running until the round ends. */
async function measure(call: () => Promise<void>): Promise<GatewayLoad> {
  const latencies: number[] = [];
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const until = startedAt + secondsPerRound * 1_000;
  const caller = async (): Promise<void> => {
    for (let at = performance.now(); at < until;) {
      await call();
      const now = performance.now();
      latencies.push(now - at);
      at = now;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    perSecond: latencies.length / seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpuMicros: (user + system) / latencies.length,
  };
}

function medians(loads: readonly GatewayLoad[]): GatewayLoad {
  const of = (figure: keyof GatewayLoad): number => median(loads.map((load) => load[figure]));
  return { perSecond: of('perSecond'), p50: of('p50'), p99: of('p99'), cpuMicros: of('cpuMicros') };
}

function describe({ perSecond: rate, p50, p99, cpuMicros }: GatewayLoad): string {
  return `${perSecond(rate)}, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${cpuMicros.toFixed(0)} µs of CPU each`;
}
