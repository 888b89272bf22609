import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { eventTopics } from '#libs/contracts';
import { waitFor } from '#libs/testing';
import { startKafkaCluster } from '../../tools/kafka/cluster.js';
import type { KafkaCluster } from '../../tools/kafka/cluster.js';
import { startMirror } from '../../tools/kafka/mirror.js';
import type { Program } from '../../tools/programs/program.js';
import { check } from '../chaos/checker.js';
import { copyCompiledCode } from '../chaos/compiled-code.js';
import { applyChaosDocuments } from '../chaos/documents.js';
import { readPostgres } from '../chaos/evidence.js';
import { History } from '../chaos/history.js';
import type { ChaosLog } from '../chaos/log.js';
import { logClient, readLog } from '../chaos/log-reader.js';
import { OffsetWatch } from '../chaos/offset-watch.js';
import { Operator } from '../chaos/operator.js';
import { Partners } from '../chaos/partners.js';
import { KillablePostgres } from '../chaos/postgres.js';
import { untilQuiet } from '../chaos/quiet.js';
import { Sink } from '../chaos/sink.js';
import { System, logPrefix } from '../chaos/system.js';
import { positive } from '../options.js';
import type { Drill } from './drill.js';
import { judge } from './region-loss.js';
import { StandbyPostgres, replicationLag } from './region-postgres.js';

interface RegionsOptions {
  /** Seconds of load before the loss of the region, and after the takeover. */
  readonly seconds: number;
  readonly rate: number;
  readonly customers: number;
  readonly seed: number;
  /** The greatest age of an acknowledged event that may be lost, s. */
  readonly bound: number;
  /** How long before the loss the mirror stands still, s. */
  readonly mirrorBehind: number;
  /** How long before the loss the standby gets nothing, s. */
  readonly standbyBehind: number;
}

const quietDeadlineMs = 240_000;
const lagSampleMs = 1_000;
const eventTopicNames = Object.values(eventTopics).map(({ name }) => `${logPrefix}${name}`);

/**
 * Two regions: a Kafka and a Postgres each, MirrorMaker 2 from the first log to the second, streaming replication from the first Postgres to the second.
 * Under load, every process of the first is killed at the same moment. The second takes over as docs/operations.md says.
 */
export const regions: Drill = {
  usage: '[--seconds 20] [--rate 30] [--customers 30] [--seed 42] [--bound 10] [--mirror-behind 3] [--standby-behind 1]',
  prepare(args) {
    const options = readOptions(args);
    return () => carryOut(options);
  },
};

function readOptions(args: readonly string[]): RegionsOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '20' },
      rate: { type: 'string', default: '30' },
      customers: { type: 'string', default: '30' },
      seed: { type: 'string', default: '42' },
      bound: { type: 'string', default: '10' },
      'mirror-behind': { type: 'string', default: '3' },
      'standby-behind': { type: 'string', default: '1' },
    },
  });
  return {
    seconds: positive('seconds', values.seconds),
    rate: positive('rate', values.rate),
    customers: positive('customers', values.customers),
    seed: positive('seed', values.seed),
    bound: positive('bound', values.bound),
    mirrorBehind: positive('mirror-behind', values['mirror-behind']),
    standbyBehind: positive('standby-behind', values['standby-behind']),
  };
}

async function carryOut(options: RegionsOptions): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-drill-'));
  chmodSync(directory, 0o755); // Postgres does not run as root
  const folderOf = (name: string): string => {
    const folder = join(directory, name);
    mkdirSync(folder);
    return folder;
  };
  const history = new History();
  const tell = (line: string): void => console.log(`${(history.now() / 1_000).toFixed(1).padStart(7)} s  ${line}`);
  const root = copyCompiledCode(directory, []);
  const sink = await Sink.start(history);
  const [there, here] = [folderOf('there'), folderOf('here')];
  const [logThere, logHere] = await Promise.all(['regionThere', 'regionHere'].map(startRegionLog));
  const postgresThere = await KillablePostgres.start(join(there, 'postgres'));
  await applyChaosDocuments(postgresThere.serviceUrl, (destination) => sink.urlOf(destination), []);
  const standby = await StandbyPostgres.follow(postgresThere, join(here, 'postgres'));
  const systemThere = await System.over({ directory: there, root, sink }, postgresThere, logThere!);
  await systemThere.startServices();
  const mirror = await startMirror({ source: logThere!.brokers, target: logHere!.brokers, prefix: logPrefix, directory: here });
  await untilMirrored(logHere!);
  tell('both regions run, and the second follows the first');

  const partners = new Partners({ doors: systemThere.doors, history, ...options });
  partners.start();
  const lag = new LagWatch(logThere!, logHere!, postgresThere);
  lag.start();
  await pause(options.seconds * 1_000);
  await lag.stop();
  await fallBehind(options, mirror, standby);
  const lostAt = history.now();
  await Promise.all([...systemThere.services.map((service) => service.kill()), logThere!.kill(), postgresThere.end('SIGKILL')]);
  standby.forgetSender();
  tell(`the first region is lost: every process of it was killed; ${partners.waiting} events are not acknowledged`);

  await mirror.end('SIGTERM');
  const postgres = await standby.promote();
  tell('the mirror is stopped, the standby is promoted');
  const system = await System.over({ directory: here, root, sink }, postgres, logHere!);
  for (const line of await realign(root, system)) tell(line);
  await system.startServices(({ service }) => service !== 'ingestion');
  await system.startServices(({ service }) => service === 'ingestion');
  await partners.redirect(system.doors);
  const openAt = history.now();
  tell('the second region is open, and partners send there');
  const operator = new Operator(system.graphql, (deliveryId) => sink.wasTaken(deliveryId));
  operator.start();
  const watch = new OffsetWatch(logHere!.brokers, history);
  await pause(options.seconds * 1_000);
  partners.stop();
  await partners.finish();
  await operator.stop();
  const stuck = await untilQuiet({ databaseUrl: postgres.serviceUrl, watch, operator }, quietDeadlineMs);
  tell(stuck === undefined ? 'everything is at its end' : `not everything came to its end: ${JSON.stringify(stuck)}`);
  await partners.close();
  await watch.stop();
  await system.stopServices();
  const evidence = { ...(await readPostgres(postgres.serviceUrl, history.startedAt)), log: await readLog(logHere!.brokers) };
  await Promise.all([system.stop(), logThere!.stop(), sink.stop()]);

  const verdict = judge(check(history, evidence, system.surprises), { history, evidence, lostAt });
  const inBound = verdict.oldestLostMs <= options.bound * 1_000;
  const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
  const firstTaken = history.arrivals.find(({ at, status }) => at > openAt && status === 204);
  for (const line of [
    '',
    `offered        ${partners.offered} events at ${options.rate}/s, ${partners.acknowledged} acknowledged`,
    `closed         ${seconds(openAt - lostAt)} s from the loss to the open door; first delivery of the second region's ${seconds((firstTaken?.at ?? NaN) - lostAt)} s after the loss`,
    `behind         mirror at most ${lag.mostRecords} events (${(lag.mostRecords / options.rate).toFixed(1)} s), standby at most ${lag.mostSeconds.toFixed(1)} s, before the loss`,
    `lost           ${verdict.lost} acknowledged events: ${verdict.lost - verdict.delivered} without effect, ${verdict.delivered} delivered before and known to nobody; the oldest was acknowledged ${seconds(verdict.oldestLostMs)} s before the loss (bound ${options.bound} s)`,
    `repeated       ${verdict.repeated} deliveries under the same webhook-id, ${verdict.keylessRepeats} of them at the destination that takes each request anew`,
    ...[...verdict.violations].map(([kind, found]) => `${kind.padEnd(14)} ${found.length}`),
    `stuck          ${stuck === undefined ? 0 : JSON.stringify(stuck)}`,
    ...[...verdict.violations.values()].flatMap((found) =>
      found.slice(0, 5).map(({ kind, ticket = '', what }) => `✗ ${kind} ${ticket}: ${what}`),
    ),
  ])
    console.log(line);
  const passed = inBound && stuck === undefined && [...verdict.violations.values()].every((found) => found.length === 0);
  if (passed) rmSync(directory, { recursive: true, force: true });
  else console.log(`What its processes printed is in ${directory}`);
  return passed;
}

/** Holds mirror and standby still, each as long as it is to be behind, so that the loss is one of copies that are behind on a quiet machine, too. */
async function fallBehind({ mirrorBehind, standbyBehind }: RegionsOptions, mirror: Program, standby: StandbyPostgres): Promise<void> {
  const longest = Math.max(mirrorBehind, standbyBehind);
  await Promise.all([
    pause((longest - mirrorBehind) * 1_000).then(() => process.kill(mirror.pid!, 'SIGSTOP')),
    pause((longest - standbyBehind) * 1_000).then(() => standby.pause()),
    pause(longest * 1_000),
  ]);
}

/** Runs the command that docs/operations.md names, with the settings of a service. Resolves with the lines that it printed. */
async function realign(root: string, { postgres, log }: System): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, ['dist/apps/ai-processing/src/realignment/realign.main.js'], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: postgres.serviceUrl,
      KAFKA_BROKERS: log.brokers.join(','),
      KAFKA_ACK_COPIES: '1',
      LOG_PREFIX: logPrefix,
    },
    timeout: 300_000,
  });
  return stdout.trimEnd().split('\n');
}

interface RegionLog extends ChaosLog {
  kill(): Promise<void>;
}

/** One broker, in a cluster with an id of its own. */
async function startRegionLog(name: string): Promise<RegionLog> {
  const clusterId = Buffer.from(name.padEnd(16, '-')).toString('base64url');
  const cluster: KafkaCluster = await startKafkaCluster({ nodes: 1, clusterId });
  process.once('exit', () => {
    const pid = cluster.pid(1);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  });
  return {
    brokers: cluster.brokers,
    cpuMs: 0,
    replication: 1,
    surprises: [],
    kill: () => cluster.kill(1),
    restart: async () => {
      await cluster.kill(1);
      await cluster.start(1);
    },
    stop: () => cluster.stop(),
  };
}

/** Waits until the mirror has made the topics of events. */
async function untilMirrored({ brokers }: ChaosLog): Promise<void> {
  const admin = logClient(brokers).admin();
  await admin.connect();
  try {
    const mirrored = async (): Promise<boolean> => {
      const names = await admin.listTopics();
      return eventTopicNames.every((name) => names.includes(name));
    };
    await waitFor(mirrored, { deadlineMs: 240_000, what: 'the mirror to make the topics' });
  } finally {
    await admin.disconnect();
  }
}

/** Samples how far the second region is behind the first. */
class LagWatch {
  /** Events that the first log had and the second had not, at most. */
  mostRecords = 0;
  mostSeconds = 0;
  private timer: NodeJS.Timeout | undefined;
  private sampling: Promise<void> | undefined;
  private readonly admins;

  constructor(
    there: ChaosLog,
    here: ChaosLog,
    private readonly primary: KillablePostgres,
  ) {
    this.admins = [there, here].map(({ brokers }) => logClient(brokers).admin());
  }

  start(): void {
    this.timer = setInterval(() => {
      this.sampling ??= this.sample()
        .catch(() => undefined)
        .finally(() => (this.sampling = undefined));
    }, lagSampleMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.sampling;
    await Promise.all(this.admins.map((admin) => admin.disconnect().catch(() => undefined)));
  }

  private async sample(): Promise<void> {
    // The first one first, so that what comes in between does not count as mirrored in advance.
    const [there, here] = [await this.endOf(0), await this.endOf(1)];
    this.mostRecords = Math.max(this.mostRecords, there - here);
    this.mostSeconds = Math.max(this.mostSeconds, await replicationLag(this.primary));
  }

  private async endOf(at: number): Promise<number> {
    const admin = this.admins[at]!;
    const offsets = await Promise.all(eventTopicNames.map((name) => admin.fetchTopicOffsets(name)));
    return offsets.flat().reduce((sum, { high }) => sum + Number(high), 0);
  }
}
