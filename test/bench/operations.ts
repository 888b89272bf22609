import { Pool } from 'undici';
import { startHttpSink, uniqueName } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { sleep } from '#libs/time';
import { fourProcesses } from '../forms/forms.js';
import type { FourProcesses } from '../forms/forms.js';
import { cpuMsWithChildren } from '../forms/process-cpu.js';
import { applyOperationDocuments, benchKeys } from './documents.js';
import type { BenchEnvironment } from './environment.js';
import { Partner, quiet, startDestination } from './event.js';
import { median } from './numbers.js';
import { perSecond } from './report.js';
import type { BenchRow } from './report.js';

const latencyOfEach = 300;
const callsOfEvent = 4;
/** Partitions of the consumer bench, whose records its baseline handles one at a time. */
const partitions = 4;
const serialMs = 12_000;
const warmUpEvents = 300;
const actingEvents = 1_500;
/** Events of one turn of a flow. */
const turnEvents = 2_000;
/** Waited before and after each turn: settlements and commits follow the last delivery. */
const settleMs = 1_500;
const logPrefix = 'bench-operations.';

/**
 * Measures what an `enrich` step costs whose output is in the cache, as the CPU of ai-processing per event beside the same flow without it, by turns; and how many
 * events per second go through `enrich`, `infer`, `call` and `deliver` where each of them takes 300 ms, beside a worker that handles one record per partition.
 */
export async function benchOperations(environment: BenchEnvironment, rounds: number): Promise<BenchRow[]> {
  const log = environment.logs.at(-1)!;
  const [destination, system] = [await startDestination(), await startSlowSystem()];
  await applyOperationDocuments(environment.databaseUrl, { destinationUrl: destination.url, systemUrl: system.url });
  const form = await fourProcesses({
    logPrefix,
    brokers: log.brokers,
    databaseUrl: environment.databaseUrl,
    queryDatabaseUrl: environment.queryDatabaseUrl,
    secretsKey: benchKeys.secretsKey,
    settings: { ...quiet, INTAKE_LOG_EVERY: '0' },
    settingsOf: (service) => (service === 'ai-processing' ? { MODEL_BASE_URL: `${system.url}/v1`, ...profiling() } : {}),
  });
  await form.start();
  try {
    const partnerOf = (flow: string, arrivals: ReadonlyMap<string, number>): Partner =>
      new Partner(`${form.doors}/webhooks/bench.${flow}`, { ...destination, arrivals });
    const cached = await costOfCachedRead(form, (flow) => partnerOf(flow, destination.arrivals), rounds);
    const acting = await eventsPerSecond(partnerOf('acting', system.arrivals));
    return [{ ...cached, what: `${cached.what}, ${log.name}` }, rowOf(acting, await serially(system.url), log.name)];
  } finally {
    await form.dispose();
    await destination.stop();
    await system.stop();
  }
}

/** `MILLRACE_BENCH_PROFILE=folder` writes a CPU profile of ai-processing there. */
function profiling(): Record<string, string> {
  const folder = process.env['MILLRACE_BENCH_PROFILE'];
  return folder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` };
}

async function costOfCachedRead({ aiProcessing }: FourProcesses, partnerOf: (flow: string) => Partner, rounds: number): Promise<BenchRow> {
  const flows = ['plain', 'enriched'] as const;
  const partners = flows.map(partnerOf);
  const costs = { plain: [] as number[], enriched: [] as number[] };
  for (const partner of partners) await partner.closedLoop(turnEvents); // also fills the cache
  for (let round = 0; round < rounds; round += 1) {
    for (const at of round % 2 === 0 ? [0, 1] : [1, 0]) {
      await sleep(settleMs);
      const before = cpuMsWithChildren(aiProcessing.pid);
      await partners[at]!.closedLoop(turnEvents);
      await sleep(settleMs);
      costs[flows[at]!].push((cpuMsWithChildren(aiProcessing.pid) - before) / turnEvents);
    }
    console.log(`  ai-processing per event: ${flows.map((flow) => `${flow} ${costs[flow].at(-1)!.toFixed(3)} ms`).join(', ')}`);
  }
  const [plain, enriched] = [median(costs.plain), median(costs.enriched)];
  return {
    what: 'CPU of ai-processing per event for an `enrich` step that is served from its cache',
    baseline: `${plain.toFixed(2)} ms (the flow without it)`,
    millrace: `${enriched.toFixed(2)} ms: **${(enriched - plain).toFixed(2)} ms** for the step`,
    ratio: `${(enriched / plain).toFixed(2)} ×`,
    target: '≤ 0.2 ms for the step',
  };
}

/** From the first request until everything is delivered. All events wait in the log almost at once, as in the consumer bench. */
async function eventsPerSecond(partner: Partner): Promise<number> {
  await partner.closedLoop(warmUpEvents);
  const startedAt = performance.now();
  await partner.closedLoop(actingEvents);
  return (actingEvents * 1_000) / (performance.now() - startedAt);
}

/** Events per second of a worker that makes the same four requests one after the other, and handles one record of each partition at a time. */
async function serially(systemUrl: string): Promise<number> {
  const http = new Pool(systemUrl, { connections: partitions });
  const key = uniqueName('serial');
  let handled = 0;
  const startedAt = performance.now();
  const post = async (path: string, body: object): Promise<void> => {
    const answer = await http.request({
      path,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await answer.body.dump();
  };
  const handle = async (): Promise<void> => {
    while (performance.now() - startedAt < serialMs) {
      const answer = await http.request({ path: '/profiles/customer-1', method: 'GET' });
      await answer.body.dump();
      await post('/v1/chat/completions', {});
      await post('/cases', { key });
      await post('/sink', { key });
      handled += 1;
    }
  };
  await Promise.all(Array.from({ length: partitions }, handle));
  const rate = (handled * 1_000) / (performance.now() - startedAt);
  await http.close();
  return rate;
}

function rowOf(ours: number, serial: number, logName: string): BenchRow {
  return {
    what: `events/s through enrich, infer, call and deliver, ${latencyOfEach} ms each, ${logName}`,
    baseline: `${perSecond(serial)} (${callsOfEvent} requests one after the other, one record of ${partitions} partitions each at a time)`,
    millrace: perSecond(ours),
    ratio: `**${(ours / serial).toFixed(0)} ×**`,
    target: '≥ 20 ×',
  };
}

/** The model, the system and the destination of the flow that acts, each of which takes its time; and when what was delivered arrived, by key. */
interface SlowSystem extends Pick<HttpSink, 'url' | 'stop'> {
  readonly arrivals: ReadonlyMap<string, number>;
}

async function startSlowSystem(): Promise<SlowSystem> {
  const sink = await startHttpSink();
  const arrivals = new Map<string, number>();
  const completion = {
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'bench',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: '{"urgency":0.5}', refusal: null } }],
    usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 },
  };
  const answers: Record<string, object> = { v1: completion, profiles: { tier: 1 }, cases: { case: 'case-1' }, sink: {} };
  sink.respondWith(async ({ path, body }) => {
    const [, what = ''] = path.split('/');
    await sleep(latencyOfEach);
    if (what === 'sink') arrivals.set((JSON.parse(body.toString('utf8')) as { key: string }).key, performance.now());
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(answers[what] ?? {}) };
  });
  return { url: sink.url, stop: () => sink.stop(), arrivals };
}
