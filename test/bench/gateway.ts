import { fork } from 'node:child_process';
import { once } from 'node:events';
import { OpenAI } from 'openai';
import { Pool } from 'undici';
import { MemoryLimitStore } from '#libs/limits';
import { ModelEndpoint, ModelGateway, OpenAiProvider, systemClock } from '#libs/models';
import { compileSchema } from '#libs/schemas';
import { cpuMs } from '../forms/process-cpu.js';
import { infer } from './documents.js';
import { median, percentile } from './numbers.js';
import { startLiteLlm } from './litellm.js';
import { startPortkey } from './portkey.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const inFlight = 50;
const rounds = 5;
const callsPerRound = 3_000;
/** A call through LiteLLM takes some 20 ms of CPU. */
const callsThroughLiteLlm = 300;

/** The webhook that the model is asked about. */
const input = { action: 'opened', issue: { title: 'Checkout crashes', body: 'It throws an exception. '.repeat(20) } };

/** The result of one round. Latencies in ms. */
interface GatewayLoad {
  perSecond: number;
  p50: number;
  p99: number;
  /** User and system time per call, of this process or of the one that is asked about. Other processes affect it less than they affect latency. */
  cpuMicros: number;
}

const contestants = ['undici', 'package', 'portkey', 'litellm', 'gateway', 'cached'] as const;
type Contestant = (typeof contestants)[number];

interface Contest {
  readonly call: () => Promise<void>;
  /** The process whose CPU counts. Default: this one. */
  readonly pid?: number;
  /** In a round. Default: {@link callsPerRound}. */
  readonly calls?: number;
}

/**
 * Measures what a call costs through the gateway with everything on (route, limits, circuit, cache miss, prompts, gates, cost, record, deadline), through
 * the `openai` package that the gateway calls with, as it comes, as a bare request with the same HTTP client, and in the processes of Portkey's gateway and of
 * LiteLLM's proxy, without the CPU of those that call them. The package sends the request of the gateway. Also what a hit of the cache costs.
 */
export async function benchGateway(): Promise<BenchRow[]> {
  const provider = fork(new URL('./model-server.js', import.meta.url));
  const [port] = (await once(provider, 'message')) as [number];
  const origin = `http://127.0.0.1:${port}`;
  const pool = new Pool(origin, { connections: inFlight });
  const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'bench', maxRetries: 0 });
  const gateway = gatewayTo(origin);
  const portkey = await startPortkey(origin);
  const portkeyPool = portkey === undefined ? undefined : new Pool(portkey.origin, { connections: inFlight });
  const liteLlm = await startLiteLlm(origin);
  const liteLlmPool = liteLlm === undefined ? undefined : new Pool(liteLlm.origin, { connections: inFlight });
  let calls = 0;
  const contests: Record<Contestant, Contest | undefined> = {
    undici: { call: () => bareCall(pool) },
    package: { call: () => packageCall(client) },
    portkey: portkey && { call: () => bareCall(portkeyPool!, portkey.headers), pid: portkey.pid },
    litellm: liteLlm && { call: () => bareCall(liteLlmPool!, liteLlm.headers), pid: liteLlm.pid, calls: callsThroughLiteLlm },
    gateway: { call: () => inferOnce(gateway, (calls += 1)) },
    cached: { call: () => inferOnce(gateway, 0) },
  };
  const loads: Record<Contestant, GatewayLoad[]> = { undici: [], package: [], portkey: [], litellm: [], gateway: [], cached: [] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of contestants) {
      const contest = contests[name];
      if (contest === undefined) continue;
      const load = await measure(contest);
      if (round > 0) loads[name].push(load); // the first warms up
    }
  }
  await pool.destroy();
  await portkeyPool?.destroy();
  await liteLlmPool?.destroy();
  portkey?.stop();
  liteLlm?.stop();
  provider.kill('SIGKILL');
  const [bare, alone, ours] = [medians(loads.undici), medians(loads.package), medians(loads.gateway)];
  const what = `model gateway, ${inFlight} in flight, provider answers at once`;
  const rows = [
    row(what, { name: 'undici', load: bare, most: 3 }, ours),
    row(`${what}, against the package that it calls with`, { name: '`openai`', load: alone, most: 0.6 }, ours),
    ...(portkey === undefined
      ? []
      : [row(`${what}, against Portkey’s gateway in its process`, { name: 'Portkey', load: medians(loads.portkey), most: 0.35 }, ours)]),
    ...(liteLlm === undefined
      ? []
      : [
          row(
            `${what}, against LiteLLM’s proxy in its process`,
            { name: `LiteLLM ${liteLlm.version}`, load: medians(loads.litellm), most: 0.35 },
            ours,
          ),
        ]),
    cacheRow(medians(loads.cached)),
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

async function bareCall(pool: Pool, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  const messages = [
    { role: 'system', content: infer.instructions },
    { role: 'user', content: JSON.stringify(input) },
  ];
  const answer = await pool.request({
    path: '/v1/chat/completions',
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer bench', ...headers },
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

/** A gateway with a route, limits that never make a call wait, and prices. */
function gatewayTo(origin: string): ModelGateway {
  const provider = new OpenAiProvider({ baseUrl: `${origin}/v1`, apiKey: 'bench' });
  const limitStore = new MemoryLimitStore();
  const endpoint = new ModelEndpoint({ provider, name: 'bench', scope: 'bench', limitStore, clock: systemClock, remedy: 'the bench' });
  const candidate = {
    endpoint,
    model: infer.model,
    price: { input: 0.25, output: 2, currency: 'USD' },
    limits: { requestsPerMinute: 1e8, tokensPerMinute: 1e12 },
  };
  return new ModelGateway({
    provider,
    directory: { planOf: () => ({ candidates: [candidate, candidate], fallbackOn: new Set(['unavailable']) }) },
  });
}

/** @param nth requests with another number are not equal, so that none finds the output of another in the cache */
async function inferOnce(gateway: ModelGateway, nth: number): Promise<void> {
  await gateway.infer({
    tenant: 'bench',
    target: { route: 'bench' },
    instructions: infer.instructions,
    input: { ...input, nth },
    cache: { ttlMs: 600_000 },
    outputSchema,
    schemaName: 'assess',
    timeoutMs: 10_000,
    onAttempt: async () => undefined,
  });
}

/** Keeps {@link inFlight} calls running until the round has made all of its calls: a number, so that all contestants are equally warm on any machine. */
async function measure({ call, pid, calls = callsPerRound }: Contest): Promise<GatewayLoad> {
  const latencies: number[] = [];
  const cpuBefore = cpuMicrosOf(pid);
  const startedAt = performance.now();
  let left = calls;
  const caller = async (): Promise<void> => {
    while (left-- > 0) {
      const at = performance.now();
      await call();
      latencies.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    perSecond: latencies.length / seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpuMicros: (cpuMicrosOf(pid) - cpuBefore) / latencies.length,
  };
}

/** The CPU of a process so far; default: this one. */
function cpuMicrosOf(pid: number | undefined): number {
  if (pid !== undefined) return cpuMs(pid) * 1_000;
  const { user, system } = process.cpuUsage();
  return user + system;
}

function cacheRow(hit: GatewayLoad): BenchRow {
  return {
    what: 'a hit of the gateway’s cache',
    baseline: '–',
    millrace: describe(hit),
    ratio: `${hit.cpuMicros.toFixed(0)} µs of CPU`,
    target: '≤ 150 µs',
  };
}

function medians(loads: readonly GatewayLoad[]): GatewayLoad {
  const of = (figure: keyof GatewayLoad): number => median(loads.map((load) => load[figure]));
  return { perSecond: of('perSecond'), p50: of('p50'), p99: of('p99'), cpuMicros: of('cpuMicros') };
}

function describe({ perSecond: rate, p50, p99, cpuMicros }: GatewayLoad): string {
  return `${perSecond(rate)}, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${cpuMicros.toFixed(0)} µs of CPU each`;
}
