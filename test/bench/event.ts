import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { StandardWebhookSigner } from '#libs/signatures';
import { startHttpSink, uniqueName, waitFor } from '#libs/testing';
import { latencyMs, sleep } from '#libs/time';
import { freePort } from '#libs/ports';
import { fourProcesses } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { cpuMsWithChildren, memoryMiB } from '../forms/process-cpu.js';
import { ServiceProcess } from '../forms/service-process.js';
import { figuresFile } from '../../tools/capacity/figures.js';
import type { FlowFigures } from '../../tools/capacity/figures.js';
import { applyEventDocuments, benchKeys } from './documents.js';
import type { BenchEnvironment, BenchLog } from './environment.js';
import { startFloor } from './floor/floor.js';
import { median, percentile } from './numbers.js';
import { StatementCosts, readCounts, readSize, readWal } from './postgres-costs.js';
import type { DatabaseCounts, StatementCost } from './postgres-costs.js';
import type { BenchRow } from './report.js';
import { readLogContents } from './log-bytes.js';
import { readEvents } from './timeline.js';
import { atRate } from './webhooks.js';

const logPrefix = 'bench-event.';
const customers = 200;
const warmUpEvents = 1_000;
const saturatedEvents = 3_000;
const callers = 32;
const ratePerSecond = 100;
const rateSeconds = 15;
/** Waited after the last delivery, because settlements and commits that follow it are part of the cost of an event. */
const settleMs = 3_000;
const idleSeconds = 10;
/** So many of the statements that took most time are printed. */
const statementsShown = 25;
/** Waited after a start, before idle CPU is measured. */
const calmMs = 10_000;
/** About 0.95 kB with what stands around it. */
const text = 'The parcel came late, the box was open and one of the two lamps is broken. I would like to have my money back. '
  .repeat(8)
  .slice(0, 800);

/** `deliver` sends on what came; `assess` is the flow of the samples: model, check, map, deliver. */
export const eventFlows = ['deliver', 'assess'] as const;
type FlowName = (typeof eventFlows)[number];

export interface EventBenchOptions {
  /** Starts of each contestant. */
  readonly rounds: number;
  readonly flows: readonly FlowName[];
  readonly writesFigures: boolean;
}

/** One way to get events from a door to a destination, while it runs. */
interface Contestant {
  readonly url: string;
  /** Processes by name. The log and Postgres belong to them, because they serve nobody else meanwhile. */
  readonly pids: ReadonlyMap<string, number | undefined>;
  /** Prints where the time of these events went, if it keeps a timeline. */
  stages?(eventIds: readonly string[]): Promise<void>;
  stop(): Promise<unknown>;
}

/** CPU in ms by process. */
type Cpu = ReadonlyMap<string, number>;

/** The costs of one start of a contestant. CPU in ms per event, by process; idle CPU in ms per second; latency in ms; memory in MiB. */
interface EventCosts {
  readonly saturated: Cpu;
  readonly eventsPerSecond: number;
  readonly atRate: Cpu;
  readonly latencies: readonly number[];
  readonly idle: Cpu;
  readonly memoryAtRest: ReadonlyMap<string, number>;
  readonly memory: ReadonlyMap<string, number>;
  /** After the closed loop and the rate. */
  readonly memoryLoaded: ReadonlyMap<string, number>;
  /** Growth of the database per event, in the closed loop. */
  readonly storedBytes: number;
  readonly walBytes: number;
  readonly walRecords: number;
  /** Commits and changed rows per event, in the closed loop. */
  readonly counts: DatabaseCounts;
  /** The costs of each statement in the closed loop; empty if statements are not counted. */
  readonly statements: readonly StatementCost[];
  /** The same at the rate, where a statement serves one event or few. */
  readonly statementsAtRate: readonly StatementCost[];
}

/**
 * Measures what an event costs from its request to its delivery: CPU of all processes, the log and Postgres included, in a closed loop of 32 callers and
 * at 100 events/s; the latency at that rate; what an idle system takes; memory. The floor, the least that a durable pipeline does, is measured in the
 * same run: each contestant starts anew in each round, alone.
 */
export async function benchEvent(environment: BenchEnvironment, { rounds, flows, writesFigures }: EventBenchOptions): Promise<BenchRow[]> {
  const [load] = loadavg();
  const figures: Partial<Record<FlowName, FlowFigures>> = {};
  const log = environment.logs.at(-1)!;
  const destination = await startDestination();
  await applyEventDocuments(environment.databaseUrl, destination.url);
  const rows: BenchRow[] = [];
  for (const flow of flows) {
    console.log(`Flow ${flow}, ${text.length + 150} B per event, ${customers} customers, ${log.name}`);
    const before = writesFigures ? await readLogContents(log.brokers, logPrefix) : undefined;
    const floor: EventCosts[] = [];
    const ours: EventCosts[] = [];
    for (let round = 0; round < rounds; round += 1) {
      floor.push(await measure('floor', await startTheFloor(environment, log, destination.url, flow), environment, destination));
      ours.push(await measure('Millrace', await startMillrace(environment, log, flow), environment, destination));
    }
    rows.push(...rowsOf(`${flow}, ${log.name}`, floor, ours));
    if (before === undefined) continue;
    const after = await readLogContents(log.brokers, logPrefix);
    const logBytes = (after.bytes - before.bytes) / (after.events - before.events);
    figures[flow] = figuresOf(ours, { load: load!, rounds, logBytes });
  }
  if (writesFigures) writeFileSync(figuresFile, `${JSON.stringify(figures, undefined, 2)}\n`);
  await destination.stop();
  return rows;
}

/** Measures what Millrace takes while nothing happens, on each log. */
export async function benchIdle(environment: BenchEnvironment): Promise<BenchRow[]> {
  const destination = await startDestination();
  await applyEventDocuments(environment.databaseUrl, destination.url);
  const rows: BenchRow[] = [];
  for (const log of environment.logs) {
    const contestant = await startMillrace(environment, log, 'deliver');
    let idle: Cpu;
    try {
      idle = await idleCpuOf(contestant);
    } finally {
      await contestant.stop();
    }
    console.log(`  ${log.name}: ${tableOfProcesses(idle, 0)} ms of CPU per second`);
    rows.push({
      what: `CPU of the four services and the log when idle, ${log.name}`,
      baseline: `${idle.get('Postgres')!.toFixed(0)} ms/s (Postgres, not counted)`,
      millrace: `${sumOf(idle, 'Postgres').toFixed(0)} ms/s`,
      ratio: '–',
      target: log === environment.logs[0] ? '≤ 50 ms/s' : '≤ 150 ms/s',
    });
  }
  await destination.stop();
  return rows;
}

/** CPU in ms per second, by process. */
async function idleCpuOf(contestant: Contestant): Promise<Cpu> {
  await sleep(calmMs);
  return divided(await cpuOf(contestant, () => sleep(idleSeconds * 1_000)), idleSeconds);
}

async function startTheFloor(environment: BenchEnvironment, log: BenchLog, destinationUrl: string, flow: FlowName): Promise<Contestant> {
  const model = flow === 'assess' ? await startModel() : undefined;
  const { ownerUrl: databaseUrl, postgresPid } = environment;
  const modelUrl = model === undefined ? undefined : `${model.url}/local-model/v1`;
  const floor = await startFloor({ brokers: log.brokers, databaseUrl, destinationUrl, modelUrl });
  const pids = new Map<string, number | undefined>([
    ['door', floor.door],
    ['worker', floor.worker],
    ...(model === undefined ? [] : [[model.service, model.pid] as const]),
    ...sharedPids(log, postgresPid),
  ]);
  return { url: floor.url, pids, stop: () => Promise.all([floor.stop(), model?.stop()]) };
}

async function startMillrace(environment: BenchEnvironment, log: BenchLog, flow: FlowName): Promise<Contestant> {
  const form = await fourProcesses({
    logPrefix,
    brokers: log.brokers,
    databaseUrl: environment.databaseUrl,
    queryDatabaseUrl: environment.queryDatabaseUrl,
    secretsKey: benchKeys.secretsKey,
    settings: { ...quiet, INTAKE_LOG_EVERY: '0', ...profiling(flow) },
  });
  await form.start();
  const pids = new Map([...form.processes.map(({ service, pid }) => [service, pid] as const), ...sharedPids(log, environment.postgresPid)]);
  return {
    url: `${form.doors}/webhooks/bench.${flow}`,
    pids,
    stages: (ids) => printStages(form, ids),
    stop: () => form.dispose(),
  };
}

/** `MILLRACE_BENCH_PROFILE=folder` writes a CPU profile of each service there, in a folder per flow. */
function profiling(flow: FlowName): Record<string, string> {
  const folder = process.env['MILLRACE_BENCH_PROFILE'];
  return folder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${join(folder, flow)}` };
}

export const quiet = { LOG_LEVEL: 'warn', TRACE_SAMPLE_PERCENT: '0', NODE_ENV: 'production' };

async function startModel(): Promise<ServiceProcess> {
  const model = new ServiceProcess('local-model', await freePort(), quiet);
  await model.start();
  return model;
}

function sharedPids(log: BenchLog, postgres: number): [string, number | undefined][] {
  return [
    ['log', log.pid],
    ['Postgres', postgres],
  ];
}

async function measure(name: string, contestant: Contestant, environment: BenchEnvironment, destination: Destination): Promise<EventCosts> {
  try {
    return await costsOf(name, contestant, environment, new Partner(contestant.url, destination));
  } finally {
    await contestant.stop();
  }
}

async function costsOf(name: string, contestant: Contestant, environment: BenchEnvironment, partner: Partner): Promise<EventCosts> {
  const { databaseUrl, administratorUrl, countsStatements } = environment;
  const statementCosts = countsStatements ? new StatementCosts(administratorUrl) : undefined;
  await statementCosts?.connect();
  const idle = await idleCpuOf(contestant);
  const memoryAtRest = memoryOf(contestant);
  await partner.closedLoop(warmUpEvents);
  await sleep(settleMs);
  const memory = memoryOf(contestant);
  const sizeBefore = await readSize(databaseUrl);

  await statementCosts?.reset();
  const countsBefore = await readCounts(databaseUrl);
  const before = await readWal(databaseUrl);
  let tookMs = 0;
  const busy = await cpuOf(contestant, async () => {
    const startedAt = performance.now();
    await partner.closedLoop(saturatedEvents);
    tookMs = performance.now() - startedAt;
    await sleep(settleMs);
  });
  const after = await readWal(databaseUrl);
  const storedBytes = ((await readSize(databaseUrl)) - sizeBefore) / saturatedEvents;
  const counts = perEvent(countsBefore, await readCounts(databaseUrl));
  const statements = (await statementCosts?.read()) ?? [];
  await statementCosts?.reset();

  let latencies: number[] = [];
  let eventIds: string[] = [];
  const steady = await cpuOf(contestant, async () => {
    ({ latencies, eventIds } = await partner.atRate());
    await sleep(settleMs);
  });
  const statementsAtRate = (await statementCosts?.read()) ?? [];
  await statementCosts?.close();
  const costs: EventCosts = {
    saturated: divided(busy, saturatedEvents),
    eventsPerSecond: (saturatedEvents * 1_000) / tookMs,
    atRate: divided(steady, ratePerSecond * rateSeconds),
    latencies,
    idle,
    memoryAtRest,
    memory,
    memoryLoaded: memoryOf(contestant),
    storedBytes,
    walBytes: (after.bytes - before.bytes) / saturatedEvents,
    walRecords: (after.records - before.records) / saturatedEvents,
    counts,
    statements,
    statementsAtRate,
  };
  print(name, costs);
  await contestant.stages?.(eventIds);
  return costs;
}

function memoryOf({ pids }: Contestant): Map<string, number> {
  return new Map([...pids].map(([process, pid]) => [process, memoryMiB(pid)]));
}

/** Runs `act`; resolves with the CPU time that each process took meanwhile. */
async function cpuOf({ pids }: Contestant, act: () => Promise<unknown>): Promise<Cpu> {
  const read = (): Map<string, number> => new Map([...pids].map(([name, pid]) => [name, cpuMsWithChildren(pid)]));
  const before = read();
  await act();
  return new Map([...read()].map(([name, ms]) => [name, ms - before.get(name)!]));
}

function perEvent(before: DatabaseCounts, after: DatabaseCounts): DatabaseCounts {
  const difference = (of: (counts: DatabaseCounts) => number): number => (of(after) - of(before)) / saturatedEvents;
  return {
    commits: difference(({ commits }) => commits),
    inserted: difference(({ inserted }) => inserted),
    updated: difference(({ updated }) => updated),
    hot: difference(({ hot }) => hot),
  };
}

function divided(cpu: Cpu, by: number): Cpu {
  return new Map([...cpu].map(([name, ms]) => [name, ms / by]));
}

function sumOf(of: ReadonlyMap<string, number>, without?: string): number {
  return [...of].reduce((sum, [name, value]) => (name === without ? sum : sum + value), 0);
}

/** Signs and sends events, and knows when each has arrived at the destination. */
export class Partner {
  private readonly signer = new StandardWebhookSigner(benchKeys.standardWebhooks);
  private readonly http: Pool;
  private readonly path: string;
  private readonly name = uniqueName('key');
  private sent = 0;

  constructor(
    url: string,
    private readonly destination: Destination,
  ) {
    const { origin, pathname } = new URL(url);
    this.http = new Pool(origin, { connections: callers * 2 });
    this.path = pathname;
  }

  /** Sends this many, each of 32 callers its next after the response to its last. Resolves when all have arrived. */
  async closedLoop(events: number): Promise<void> {
    const keys: string[] = [];
    const caller = async (): Promise<void> => {
      while (keys.length < events) {
        const key = this.nextKey();
        keys.push(key);
        await this.send(key);
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    await this.arrived(keys);
  }

  /** Sends at the rate without waiting for responses. Latencies are from before the request to the arrival. */
  async atRate(): Promise<{ latencies: number[]; eventIds: string[] }> {
    const sentAt = new Map<string, number>();
    const eventIds: string[] = [];
    await atRate(ratePerSecond, rateSeconds, async () => {
      const key = this.nextKey();
      sentAt.set(key, performance.now());
      eventIds.push(...(await this.send(key)));
    });
    await this.arrived([...sentAt.keys()]);
    return { latencies: [...sentAt].map(([key, at]) => this.destination.arrivals.get(key)! - at), eventIds };
  }

  private async send(key: string): Promise<string[]> {
    const data = { key, customer: `customer-${this.sent % customers}`, subject: 'Broken on arrival', text };
    const body = JSON.stringify({ type: 'ticket.created', timestamp: new Date().toISOString(), data });
    const signature = this.signer.sign({ id: key, timestampSeconds: Math.floor(Date.now() / 1_000), body });
    const headers = { 'content-type': 'application/json', ...signature };
    const response = await this.http.request({ path: this.path, method: 'POST', headers, body });
    const answer = await response.body.text();
    if (response.statusCode !== 200) throw new Error(`the door answered ${response.statusCode}: ${answer}`);
    return answer === '' ? [] : (JSON.parse(answer) as { eventIds: string[] }).eventIds;
  }

  private nextKey(): string {
    this.sent += 1;
    return `${this.name}-${this.sent}`;
  }

  private async arrived(keys: readonly string[]): Promise<void> {
    const { arrivals } = this.destination;
    await waitFor(() => keys.every((key) => arrivals.has(key)), { deadlineMs: 120_000, what: `${keys.length} events to be delivered` });
  }
}

/** The destination of both contestants. */
export interface Destination {
  readonly url: string;
  /** Time of the first arrival by key. */
  readonly arrivals: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

export async function startDestination(): Promise<Destination> {
  const sink = await startHttpSink();
  const arrivals = new Map<string, number>();
  sink.respondWith(({ body }) => {
    const { key } = JSON.parse(body.toString('utf8')) as { key: string };
    if (!arrivals.has(key)) arrivals.set(key, performance.now());
    return { status: 200 };
  });
  return { url: `${sink.url}/sink`, arrivals, stop: () => sink.stop() };
}

/** Prints the median and the 99th percentile of each stage of the events, by the clocks of the services. */
async function printStages(form: Form, ids: readonly string[]): Promise<void> {
  const fields = 'receivedAt recordedAt runs { startedAt finishedAt deliveries { createdAt settledAt attempts { startedAt finishedAt } } }';
  const stages = Map.groupBy((await readEvents<TimedEvent>(form, ids, fields)).flatMap(stagesOf), ([stage]) => stage);
  const line = [...stages].map(([stage, times]) => {
    const at = (p: number): string =>
      percentile(
        times.map(([, ms]) => ms),
        p,
      ).toFixed(0);
    return `${stage} ${at(0.5)}/${at(0.99)}`;
  });
  console.log(`    stages p50/p99 ms: ${line.join(', ')}`);
}

interface TimedEvent {
  receivedAt: string;
  recordedAt: string;
  runs: {
    startedAt: string;
    finishedAt: string;
    deliveries: { createdAt: string; settledAt: string; attempts: { startedAt: string; finishedAt: string }[] }[];
  }[];
}

function stagesOf({ receivedAt, recordedAt, runs }: TimedEvent): [string, number][] {
  const run = runs[0]!;
  const delivery = run.deliveries[0]!;
  const attempt = delivery.attempts[0]!;
  const between = (from: string, to: string): number => latencyMs(Date.parse(from), Date.parse(to));
  return [
    ['received → recorded', between(receivedAt, recordedAt)],
    ['received → run', between(receivedAt, run.startedAt)],
    ['run', between(run.startedAt, run.finishedAt)],
    ['run → planned', between(run.finishedAt, delivery.createdAt)],
    ['planned → attempt', between(delivery.createdAt, attempt.startedAt)],
    ['attempt', between(attempt.startedAt, attempt.finishedAt)],
    ['attempt → settled', between(attempt.finishedAt, delivery.settledAt)],
  ];
}

/** The sum of some processes' figures and each of them. */
function tableOfProcesses(of: ReadonlyMap<string, number>, digits: number): string {
  return `${sumOf(of).toFixed(digits)} (${[...of].map(([process, value]) => `${process} ${value.toFixed(digits)}`).join(', ')})`;
}

function print(name: string, costs: EventCosts): void {
  const {
    saturated,
    atRate: steady,
    idle,
    memory,
    latencies,
    eventsPerSecond,
    walBytes,
    walRecords,
    counts,
    statements,
    statementsAtRate,
  } = costs;
  console.log(`  ${name}`);
  console.log(
    `    saturated: ${tableOfProcesses(saturated, 2)} ms of CPU per event, ${eventsPerSecond.toFixed(0)} /s; ${(walBytes / 1_000).toFixed(1)} kB and ${walRecords.toFixed(1)} records of WAL`,
  );
  console.log(
    `    Postgres per event: ${counts.commits.toFixed(2)} commits, ${counts.inserted.toFixed(2)} rows inserted, ${counts.updated.toFixed(2)} updated (${counts.hot.toFixed(2)} HOT)`,
  );
  console.log(`    at ${ratePerSecond}/s: ${tableOfProcesses(steady, 2)} ms of CPU per event; ${latencyOf(latencies)}`);
  console.log(`    idle: ${tableOfProcesses(idle, 0)} ms of CPU per second; memory: ${tableOfProcesses(memory, 0)} MiB`);
  printStatements('saturated', statements, saturatedEvents);
  printStatements(`at ${ratePerSecond}/s`, statementsAtRate, ratePerSecond * rateSeconds);
}

function printStatements(phase: string, statements: readonly StatementCost[], events: number): void {
  if (statements.length === 0) return;
  const sum = statements.reduce((total, { calls }) => total + calls, 0);
  console.log(`    statements ${phase}: ${(sum / events).toFixed(2)} per event`);
  for (const { text: statement, calls, rows, execMs, walBytes } of statements.slice(0, statementsShown)) {
    const each = (value: number, digits: number): string => (value / events).toFixed(digits).padStart(7);
    console.log(
      `    ${each(calls, 3)} calls ${each(rows, 2)} rows ${each(execMs, 3)} ms ${each(walBytes, 0)} B  ${statement.replace(/\s+/g, ' ').slice(0, 90)}`,
    );
  }
}

/** The figures for `npm run capacity`: those of the round that cost least CPU, because what others do on the machine can only add to it. */
function figuresOf(
  rounds: readonly EventCosts[],
  { load, logBytes, ...options }: { load: number; logBytes: number; rounds: number },
): FlowFigures {
  const [best] = rounds.toSorted((a, b) => sumOf(a.saturated) - sumOf(b.saturated));
  const { saturated, eventsPerSecond, atRate: steady, memoryAtRest, memoryLoaded, walBytes, storedBytes } = best!;
  const written = (of: ReadonlyMap<string, number>, digits: number): Record<string, number> =>
    Object.fromEntries([...of].map(([name, value]) => [name, Number(value.toFixed(digits))]));
  return {
    command: `npm run bench -- event --rounds ${options.rounds} --figures`,
    day: new Date().toISOString().slice(0, 10),
    load: Number(load.toFixed(1)),
    bodyBytes: text.length + 150,
    saturatedCpuMs: written(saturated, 3),
    saturatedPerSecond: Math.round(eventsPerSecond),
    atRateCpuMs: written(steady, 3),
    ratePerSecond,
    restMiB: written(memoryAtRest, 0),
    loadedMiB: written(memoryLoaded, 0),
    walBytes: Math.round(walBytes),
    logBytes: Math.round(logBytes),
    storedBytes: Math.round(storedBytes),
  };
}

function latencyOf(latencies: readonly number[]): string {
  return `p50 ${percentile(latencies, 0.5).toFixed(0)} ms, p99 ${percentile(latencies, 0.99).toFixed(0)} ms`;
}

function rowsOf(flow: string, floor: readonly EventCosts[], ours: readonly EventCosts[]): BenchRow[] {
  const row = (what: string, unit: string, digits: number, figure: (costs: EventCosts) => number, target?: string): BenchRow => {
    const [least, found] = [floor, ours].map((all) => median(all.map(figure))) as [number, number];
    return {
      what: `event, ${flow}: ${what}`,
      baseline: `${least.toFixed(digits)} ${unit} (floor)`,
      millrace: `${found.toFixed(digits)} ${unit}`,
      ratio: (found / least).toFixed(2),
      ...(target === undefined ? {} : { target }),
    };
  };
  const services = (memory: ReadonlyMap<string, number>): number =>
    [...memory].reduce((sum, [name, value]) => (['log', 'Postgres', 'local-model'].includes(name) ? sum : sum + value), 0);
  return [
    row(
      'CPU saturated, without the model',
      'ms',
      2,
      ({ saturated }) => sumOf(saturated, 'local-model'),
      flow.startsWith('deliver') ? '≤ 1.5' : '≤ 2.5',
    ),
    row(
      `CPU at ${ratePerSecond}/s, without the model`,
      'ms',
      2,
      ({ atRate: steady }) => sumOf(steady, 'local-model'),
      flow.startsWith('deliver') ? '≤ 1.2' : undefined,
    ),
    row(`request → delivered at ${ratePerSecond}/s, p50`, 'ms', 0, ({ latencies }) => percentile(latencies, 0.5), '≤ 3'),
    row(`request → delivered at ${ratePerSecond}/s, p99`, 'ms', 0, ({ latencies }) => percentile(latencies, 0.99), '≤ 3'),
    row('CPU when idle, per second', 'ms', 0, ({ idle }) => sumOf(idle)),
    row('memory of the services', 'MiB', 0, ({ memory }) => services(memory)),
    row('WAL', 'bytes', 0, ({ walBytes }) => walBytes),
  ];
}
