import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { EventReceived, eventId, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { freePort, takesConnections } from '#libs/ports';
import { startHttpSink, uniqueName } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { postgresPid } from '../forms/postgres-pid.js';
import { cpuMs, cpuMsWithChildren } from '../forms/process-cpu.js';
import { ServiceProcess } from '../forms/service-process.js';
import { applyBenchDocuments, benchKeys } from './documents.js';
import { median } from './numbers.js';
import { StatementCosts, startCountingPostgres } from './postgres-costs.js';
import type { StatementCost } from './postgres-costs.js';
import type { BenchRow } from './report.js';
import { storeEvents, storedCustomers } from './stored-events.js';

const baselineEvents = 100_000;
/** Events in progress at the same time, so that batches form as they do under load. */
const inFlight = 100;

export interface GrowthOptions {
  /** Stored events of the large database. */
  events: number;
  rounds: number;
  perRound: number;
}

/** The cost of one event, averaged over a round. */
interface EventCost {
  postgresCpuMicros: number;
  statementMicros: number;
  walBytes: number;
  walPages: number;
  calls: number;
  wallMicros: number;
  processingCpuMicros: number;
  connectorsCpuMicros: number;
}

/**
 * Measures what an event costs Postgres, from its record to its settled delivery, through the real services: in a database with `events` stored events,
 * and in one with 100 000. The two alternate within each round. A checkpoint before each turn gives both the same start.
 */
export async function benchGrowth({ events, rounds, perRound }: GrowthOptions): Promise<BenchRow[]> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-growth-'));
  const log = await startLog(directory);
  const model = new ServiceProcess('local-model', await freePort(), {});
  const sink = await startHttpSink();
  const stops: (() => Promise<unknown>)[] = [() => sink.stop(), () => model.stop(), () => log.process.stop()];
  try {
    await model.start();
    const server = await startCountingPostgres(join(directory, 'postgres'));
    stops.unshift(() => server.stop());
    const databases: MeasuredDatabase[] = [];
    for (const stored of [baselineEvents, events]) {
      const database = new MeasuredDatabase(stored, { server, directory, brokers: log.brokers, model, sink });
      stops.unshift(() => database.stop());
      await database.start();
      databases.push(database);
    }
    for (const database of databases) await database.turn(Math.min(1_000, perRound)); // warm-up
    for (const database of databases) database.forget();
    for (let round = 0; round < rounds; round += 1) {
      for (const database of databases) await database.turn(perRound);
    }
    return report(databases, perRound);
  } finally {
    for (const stop of stops) await stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The processes that all databases share. */
interface SharedProcesses {
  server: EmbeddedPostgres;
  directory: string;
  brokers: readonly string[];
  model: ServiceProcess;
  sink: HttpSink;
}

/** One database with its own services. */
class MeasuredDatabase {
  readonly costs: EventCost[] = [];
  readonly statements = new Map<string, StatementCost>();
  private readonly name: string;
  private readonly prefix: string;
  private readonly producer: RecordProducer;
  private readonly counts: StatementCosts;
  private services: ServiceProcess[] = [];
  private sent = 0;

  constructor(
    readonly stored: number,
    private readonly shared: SharedProcesses,
  ) {
    const name = uniqueName(`growth_${stored}`).replaceAll('-', '_');
    this.name = name;
    this.prefix = `${name}.`;
    this.producer = new RecordProducer({ brokers: [...shared.brokers], clientId: 'bench', prefix: this.prefix });
    this.counts = new StatementCosts(this.at(shared.server.administratorUrl));
  }

  async start(): Promise<void> {
    const startedAt = performance.now();
    const { administratorUrl, ownerUrl, serviceUrl } = this.shared.server;
    await administer(administratorUrl, `CREATE DATABASE "${this.name}" OWNER millrace_owner`);
    await migrate(this.at(ownerUrl));
    await storeEvents(this.at(ownerUrl), this.stored);
    await applyBenchDocuments(this.at(serviceUrl), this.shared.sink.url);
    await this.counts.connect();
    console.log(`  ${this.stored} events are stored after ${((performance.now() - startedAt) / 1_000).toFixed(0)} s, ${await this.size()}`);
    const environment = {
      LOG_LEVEL: 'warn',
      NODE_ENV: 'production',
      DATABASE_URL: this.at(serviceUrl),
      KAFKA_BROKERS: this.shared.brokers.join(','),
      KAFKA_ACK_COPIES: '1',
      LOG_PREFIX: this.prefix,
      SECRETS_KEY: benchKeys.secretsKey,
      DELIVERY_ALLOW_PRIVATE_ADDRESSES: 'true',
    };
    const model = { MODEL_BASE_URL: `${this.shared.model.url}/local-model/v1`, MODEL_API_KEY: 'local' };
    this.services = [
      new ServiceProcess('ai-processing', await freePort(), { ...environment, ...model, ...profiling(this.stored) }),
      new ServiceProcess('connectors', await freePort(), environment),
    ];
    for (const service of this.services) await service.start();
    await this.producer.connect();
  }

  /** Sends new events, {@link inFlight} at a time, waits until all are delivered and settled, and keeps their cost. */
  async turn(events: number): Promise<void> {
    await administer(this.shared.server.administratorUrl, 'CHECKPOINT');
    await this.counts.reset();
    const before = this.readings();
    const startedAt = performance.now();
    await this.deliver(events);
    const wallMicros = (performance.now() - startedAt) * 1_000;
    const after = this.readings();
    const statements = await this.counts.read();
    for (const cost of statements) this.statements.set(cost.text, plus(this.statements.get(cost.text), cost));
    const sum = (value: (cost: StatementCost) => number): number => statements.reduce((total, cost) => total + value(cost), 0);
    this.costs.push({
      postgresCpuMicros: (after.postgres - before.postgres) / events,
      statementMicros: (sum(({ execMs }) => execMs) * 1_000) / events,
      walBytes: sum(({ walBytes }) => walBytes) / events,
      walPages: sum(({ walPages }) => walPages) / events,
      calls: sum(({ calls }) => calls) / events,
      wallMicros: wallMicros / events,
      processingCpuMicros: (after.services[0]! - before.services[0]!) / events,
      connectorsCpuMicros: (after.services[1]! - before.services[1]!) / events,
    });
  }

  forget(): void {
    this.costs.length = 0;
    this.statements.clear();
  }

  async stop(): Promise<void> {
    await this.producer.disconnect();
    for (const service of this.services) await service.stop();
    await this.counts.close();
  }

  private readings(): { postgres: number; services: number[] } {
    const postmaster = postgresPid(join(this.shared.directory, 'postgres'));
    return { postgres: 1_000 * cpuMsWithChildren(postmaster), services: this.services.map(({ pid }) => 1_000 * cpuMs(pid!)) };
  }

  private async deliver(events: number): Promise<void> {
    const open = new Map<string, () => void>();
    this.shared.sink.respondWith((request) => {
      const { eventId: id } = JSON.parse(request.body.toString('utf8')) as { eventId: string };
      open.get(id)?.();
      return { status: 204 };
    });
    const under = new Set<Promise<void>>();
    for (let n = 0; n < events; n += 1) {
      if (under.size >= inFlight) await Promise.race(under);
      const event = this.nextEvent();
      const arrived = new Promise<void>((resolve) => open.set(event.eventId, resolve));
      const done = Promise.all([this.producer.append(topics.eventsNormal, EventReceived, event), arrived]).then(() => {
        open.delete(event.eventId);
        under.delete(done);
      });
      under.add(done);
    }
    await Promise.all(under);
  }

  private nextEvent(): EventReceived {
    this.sent += 1;
    const providerEventId = `${this.prefix}${this.sent}`;
    const at = new Date().toISOString();
    return {
      eventId: eventId('bench', 'github', { providerEventId }),
      tenant: 'bench',
      source: 'github',
      customer: `customer-${(this.sent * 2_654_435_761) % storedCustomers}`,
      lane: 'normal',
      type: 'issues',
      providerEventId,
      occurredAt: at,
      receivedAt: at,
      contentType: 'application/json',
      body: '{"action":"opened","issue":{"title":"Checkout crashes","body":"It throws an exception."}}',
    };
  }

  /** The address of this database for the login of another address. */
  private at(url: string): string {
    return Object.assign(new URL(url), { pathname: `/${this.name}` }).href;
  }

  private async size(): Promise<string> {
    return (
      await administer(this.at(this.shared.server.administratorUrl), 'SELECT pg_size_pretty(pg_database_size(current_database())) AS size')
    )[0]!['size']!;
  }
}

/** `MILLRACE_BENCH_PROFILE=folder` writes a CPU profile of each ai-processing there. */
function profiling(stored: number): Record<string, string> {
  const folder = process.env['MILLRACE_BENCH_PROFILE'];
  return folder === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${join(folder, String(stored))}` };
}

async function startLog(directory: string): Promise<{ process: ServiceProcess; brokers: string[] }> {
  const port = await freePort();
  const settings = { LOCAL_BROKER_PORT: String(port), LOCAL_BROKER_DIRECTORY: join(directory, 'log') };
  const broker = new ServiceProcess('local-broker', port, settings, takesConnections);
  await broker.start();
  return { process: broker, brokers: [`127.0.0.1:${port}`] };
}

async function administer(url: string, text: string): Promise<Record<string, string>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, string>>(text)).rows;
  } finally {
    await client.end();
  }
}

function plus(a: StatementCost | undefined, b: StatementCost): StatementCost {
  if (a === undefined) return { ...b };
  return {
    ...b,
    calls: a.calls + b.calls,
    rows: a.rows + b.rows,
    execMs: a.execMs + b.execMs,
    walBytes: a.walBytes + b.walBytes,
    walPages: a.walPages + b.walPages,
  };
}

/** Figure, title and target. The figures without a target explain the one that has it. */
const figures: readonly (readonly [keyof EventCost, string, string?])[] = [
  ['postgresCpuMicros', 'µs of CPU of Postgres', '≤ 1.2'],
  ['statementMicros', 'µs in statements'],
  ['walBytes', 'bytes of WAL'],
  ['walPages', 'whole pages in the WAL'],
  ['calls', 'statements'],
  ['wallMicros', 'µs on the clock'],
  ['processingCpuMicros', 'µs of CPU of ai-processing'],
  ['connectorsCpuMicros', 'µs of CPU of connectors'],
];

function report(databases: readonly MeasuredDatabase[], perRound: number): BenchRow[] {
  const [small, large] = databases as [MeasuredDatabase, MeasuredDatabase];
  const rows = figures.map(([figure, name, target]): BenchRow => {
    const [a, b] = [small, large].map(({ costs }) => median(costs.map((cost) => cost[figure]))) as [number, number];
    return {
      what: `growth: ${name} per event`,
      baseline: `${a.toFixed(2)} with ${small.stored} stored`,
      millrace: `${b.toFixed(2)} with ${large.stored} stored`,
      ratio: (b / a).toFixed(2),
      ...(target === undefined ? {} : { target }),
    };
  });
  for (const { what, baseline, millrace, ratio } of rows)
    console.log(`  ${what.padEnd(50)} ${baseline.padStart(32)} ${millrace.padStart(34)}   ${ratio}`);
  printStatements(small, large, small.costs.length * perRound);
  return rows;
}

/** Prints the most expensive statements of both databases, so that a plan that got worse with the size of its table is found. */
function printStatements(small: MeasuredDatabase, large: MeasuredDatabase, events: number): void {
  console.log('  The dearest statements: calls, µs and bytes of WAL per event, in the smaller and in the larger database');
  for (const cost of [...large.statements.values()].toSorted((a, b) => b.execMs - a.execMs).slice(0, 16)) {
    const text = cost.text.replaceAll(/\s+/g, ' ').slice(0, 70);
    console.log(`    ${text.padEnd(70)} ${perEvent(small.statements.get(cost.text), events)}   ${perEvent(cost, events)}`);
  }
}

function perEvent(cost: StatementCost | undefined, events: number): string {
  if (cost === undefined) return ''.padStart(24);
  const { calls, execMs, walBytes } = cost;
  return `${(calls / events).toFixed(2).padStart(6)} ${((execMs * 1_000) / events).toFixed(1).padStart(8)} ${(walBytes / events).toFixed(0).padStart(8)}`;
}
