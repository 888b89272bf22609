import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { check, violationKinds } from '../chaos/checker.js';
import { copyCompiledCode } from '../chaos/compiled-code.js';
import { readPostgres } from '../chaos/evidence.js';
import type { Evidence } from '../chaos/evidence.js';
import { History } from '../chaos/history.js';
import { readLog } from '../chaos/log-reader.js';
import { OffsetWatch } from '../chaos/offset-watch.js';
import { Operator } from '../chaos/operator.js';
import { Partners } from '../chaos/partners.js';
import { untilQuiet } from '../chaos/quiet.js';
import { Sink } from '../chaos/sink.js';
import { System, logPrefix } from '../chaos/system.js';
import { positive } from '../options.js';
import { PostgresArchive } from './archived-postgres.js';
import type { Drill } from './drill.js';

interface RestoreOptions {
  /** Seconds of load before the moment that Postgres is restored to, and from it to the loss of the server. */
  readonly seconds: number;
  readonly rate: number;
  readonly customers: number;
  readonly seed: number;
  readonly log: 'local' | 'kafka';
  /** False: the groups are not set back, which shows what would be lost. */
  readonly setBack: boolean;
}

const quietDeadlineMs = 180_000;
const commandDeadlineMs = 120_000;

/**
 * Postgres loses its disk under load and is restored from a base backup and archived WAL to an earlier moment, while the log is at now and the door goes on.
 * `millrace restore` sets the groups back, and everything that was acknowledged has to be there at the end, once in effect.
 */
export const restore: Drill = {
  usage: '[--seconds 20] [--rate 40] [--customers 20] [--seed 42] [--log local|kafka] [--without-set-back]',
  prepare(args) {
    const options = readOptions(args);
    return () => carryOut(options);
  },
};

function readOptions(args: readonly string[]): RestoreOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '20' },
      rate: { type: 'string', default: '40' },
      customers: { type: 'string', default: '20' },
      seed: { type: 'string', default: '42' },
      log: { type: 'string', default: 'local' },
      'without-set-back': { type: 'boolean', default: false },
    },
  });
  if (values.log !== 'local' && values.log !== 'kafka') throw new Error(`--log must be local or kafka; it is '${values.log}'`);
  return {
    seconds: positive('seconds', values.seconds),
    rate: positive('rate', values.rate),
    customers: positive('customers', values.customers),
    seed: positive('seed', values.seed),
    log: values.log,
    setBack: !values['without-set-back'],
  };
}

async function carryOut(options: RestoreOptions): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-drill-'));
  chmodSync(directory, 0o755); // Postgres does not run as root
  const history = new History();
  const tell = (line: string): void => console.log(`${(history.now() / 1_000).toFixed(1).padStart(7)} s  ${line}`);
  const sink = await Sink.start(history);
  const root = copyCompiledCode(directory, []);
  const system = await System.start({ log: options.log, directory, root, sink, more: [] });
  mkdirSync(join(directory, 'archive'));
  const archive = await PostgresArchive.start(system.postgres, join(directory, 'archive'));
  const partners = new Partners({ doors: system.doors, history, ...options });
  const operator = new Operator(system.graphql, (deliveryId) => sink.wasTaken(deliveryId));
  const watch = new OffsetWatch(system.log.brokers, history); // samples nothing: a restore sets offsets back
  const read = (): Promise<Omit<Evidence, 'log'>> => readPostgres(system.postgres.serviceUrl, history.startedAt);

  tell(`everything runs, the WAL is archived; ${options.rate} events/s begin`);
  partners.start();
  operator.start();
  await pause((options.seconds * 1_000) / 2);
  await archive.takeBaseBackup();
  tell('a base backup is taken');
  await pause((options.seconds * 1_000) / 2);
  const to = await archive.now();
  const toAt = history.now();
  tell(`T, the moment to restore to: ${to.toISOString()}`);
  const settings = { DATABASE_URL: system.postgres.serviceUrl, KAFKA_BROKERS: system.log.brokers.join(','), LOG_PREFIX: logPrefix };
  const command = ['restore', '--to', to.toISOString()];
  const millrace = async (args: readonly string[]): Promise<number> => {
    tell(`millrace ${args.join(' ')}`);
    return commandEnded(root, args, settings);
  };
  await pause(options.seconds * 1_000);
  const isRefusedWhileRunning = (await millrace(['restore', '--to', new Date().toISOString()])) === 1;
  await archive.untilArchived();
  const before = await read();
  await archive.loseServer();
  const lostAt = history.now();
  tell('Postgres and its disk are lost; the door goes on');
  const consumers = system.services.filter(({ service, running }) => running && service !== 'ingestion' && service !== 'local-model');
  await Promise.all(consumers.map((service) => service.stop()));
  tell(`stopped: ${consumers.map(({ name }) => name).join(', ')}`);
  await archive.restore(to);
  const restored = await read();
  tell('Postgres is restored to T');
  if (options.setBack) {
    await millrace([...command, '--dry-run']);
    const status = await millrace(command);
    if (status !== 0) throw new Error(`millrace restore ended with ${status}`);
  }
  for (const service of consumers) service.up();
  await Promise.all(consumers.map((service) => service.ready()));
  const readyAt = history.now();
  tell('everything runs again');
  await pause((options.seconds * 1_000) / 2);
  partners.stop();
  await partners.finish();
  await operator.stop();
  const stuck = await untilQuiet({ databaseUrl: system.postgres.serviceUrl, watch, operator }, quietDeadlineMs);
  const quietAt = history.now();
  tell(stuck === undefined ? 'everything is at its end' : `not everything came to its end: ${JSON.stringify(stuck)}`);
  await partners.close();
  await watch.stop();
  await system.stopServices();
  const evidence = { ...(await read()), log: await readLog(system.log.brokers) };
  await system.stop();
  await sink.stop();

  const found = check(history, evidence, system.surprises);
  // Postgres at T does not know what arrived after T, and a destination without keys cannot tell.
  const violations = found.filter(({ kind }) => kind !== 'keyless repeat');
  const taken = history.arrivals.filter(({ status }) => status === 204);
  const lines = [
    `restored   T is ${((lostAt - toAt) / 1_000).toFixed(1)} s before the loss; outage of GraphQL, runs and deliveries ${((readyAt - lostAt) / 1_000).toFixed(1)} s; everything at its end ${((quietAt - lostAt) / 1_000).toFixed(1)} s after the loss`,
    `door       ${history.requests.length} requests, ${history.requests.filter(({ outcome }) => outcome !== 'ok').length} not acknowledged`,
    `Postgres   at the loss ${sizes(before)}; restored ${sizes(restored)}; at the end ${sizes(evidence)}`,
    `repeated   ${before.modelAnswers.total - restored.modelAnswers.total} answers of the model; ${taken.length - new Set(taken.map(({ webhookId }) => webhookId)).size} deliveries under the same webhook-id, ${found.length - violations.length} of them at the destination that takes each request anew`,
    ...violationKinds
      .filter((kind) => kind !== 'keyless repeat')
      .map((kind) => `${kind.padEnd(14)} ${violations.filter((violation) => violation.kind === kind).length}`),
    `stuck          ${stuck === undefined ? 0 : JSON.stringify(stuck)}`,
    `refused        while consumers ran: ${isRefusedWhileRunning ? 'yes' : 'NO'}`,
    ...violations.slice(0, 10).map(({ kind, ticket = '', what }) => `✗ ${kind} ${ticket}: ${what}`),
  ];
  for (const line of ['', ...lines]) console.log(line);
  const passed = violations.length === 0 && stuck === undefined && isRefusedWhileRunning;
  if (passed) rmSync(directory, { recursive: true, force: true });
  else console.log(`What its processes printed is in ${join(directory, 'output')}`);
  return passed;
}

/** Runs the command as an operator does and prints what it says. Resolves with its exit status. */
async function commandEnded(root: string, args: readonly string[], settings: Record<string, string>): Promise<number> {
  const env = { PATH: process.env['PATH'] ?? '', LOG_LEVEL: 'error', ...settings };
  const child = spawn(process.execPath, [join(root, 'dist/tools/cli/src/main.js'), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = Promise.all([text(child.stdout), text(child.stderr)]);
  const [status] = (await once(child, 'exit', { signal: AbortSignal.timeout(commandDeadlineMs) })) as [number | null];
  for (const line of (await printed).join('').trim().split('\n')) console.log(`           ${line}`);
  return status ?? -1;
}

function sizes({ events, runs, deliveries }: Pick<Evidence, 'events' | 'runs' | 'deliveries'>): string {
  return `${events.length} events, ${runs.length} runs, ${deliveries.length} deliveries`;
}
