import { fork } from 'node:child_process';
import { once } from 'node:events';
import { OpenAI } from 'openai';
import { Pool } from 'undici';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { compileSchema } from '#libs/schemas';
import { infer } from './documents.js';
import { median, percentile } from './numbers.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const inFlight = 50;
const rounds = 5;
const callsPerRound = 3_000;

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

const contestants = ['undici', 'package', 'gateway'] as const;
type Contestant = (typeof contestants)[number];

/**
 * Measures what a call costs through the gateway (prompts, checks, record, deadline), through the `openai` package that the gateway calls with, as it
 * comes, and as a bare request with the same HTTP client. The package sends the request of the gateway.
 */
export async function benchGateway(): Promise<BenchRow[]> {
  const provider = fork(new URL('./model-server.js', import.meta.url));
  const [port] = (await once(provider, 'message')) as [number];
  const origin = `http://127.0.0.1:${port}`;
  const pool = new Pool(origin, { connections: inFlight });
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'bench', maxRetries: 0 });
  const gateway = new ModelGateway({ provider: new OpenAiProvider({ baseUrl: `${origin}/v1`, apiKey: 'bench' }) });
  const calls: Record<Contestant, () => Promise<void>> = {
    undici: () => bareCall(pool),
    package: () => packageCall(client),
    gateway: () => inferOnce(gateway),
  };
  const loads: Record<Contestant, GatewayLoad[]> = { undici: [], package: [], gateway: [] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of contestants) {
      const load = await measure(calls[name]);
      if (round > 0) loads[name].push(load); // the first warms up
    }
  }
  await pool.destroy();
  provider.kill('SIGKILL');
  const [bare, alone, ours] = [medians(loads.undici), medians(loads.package), medians(loads.gateway)];
  const what = `model gateway, ${inFlight} in flight, provider answers at once`;
  const rows = [
    row(what, { name: 'undici', load: bare, most: 3 }, ours),
    row(`${what}, against the package that it calls with`, { name: '`openai`', load: alone, most: 0.5 }, ours),
  ];
  for (const { what: measured, baseline, millrace, ratio } of rows) console.log(`${measured}: ${baseline}, gateway ${millrace}: ${ratio}`);
  return rows;
}

function row(what: string, { name, load, most }: { name: string; load: GatewayLoad; most: number }, ours: GatewayLoad): BenchRow {
  return {
    what,
    baseline: `${describe(load)} (${name} alone)`,
    millrace: describe(ours),
    ratio: `CPU ${(ours.cpuMicros / load.cpuMicros).toFixed(2)} ×, p50 ${signed(ours.p50 - load.p50)} ms, p99 ${signed(ours.p99 - load.p99)} ms`,
    target: `CPU ≤ ${most} ×`,
  };
}

function signed(ms: number): string {
  return `${ms < 0 ? '−' : '+'} ${Math.abs(ms).toFixed(1)}`;
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

async function packageCall(client: OpenAI): Promise<void> {
  const { choices } = await client.chat.completions.create({
    model: infer.model,
    messages: [
      { role: 'system', content: infer.instructions },
      { role: 'user', content: JSON.stringify(input) },
    ],
    response_format: { type: 'json_schema', json_schema: { name: 'assess', schema: infer.output, strict: true } },
  });
  JSON.parse(choices[0]!.message.content!);
}

async function inferOnce(gateway: ModelGateway): Promise<void> {
  await gateway.infer({
    tenant: 'bench',
    target: { model: infer.model },
    instructions: infer.instructions,
    input,
    outputSchema,
    schemaName: 'assess',
    timeoutMs: 10_000,
    onAttempt: async () => undefined,
  });
}

/** Keeps {@link inFlight} calls running until the round has made all of its calls: a number, so that all contestants are equally warm on any machine. */
async function measure(call: () => Promise<void>): Promise<GatewayLoad> {
  const latencies: number[] = [];
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  let left = callsPerRound;
  const caller = async (): Promise<void> => {
    while (left-- > 0) {
      const at = performance.now();
      await call();
      latencies.push(performance.now() - at);
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
