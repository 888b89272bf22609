import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { freePort, takesConnections } from '#libs/ports';
import { findKafka, startKafka } from '../../tools/kafka/kafka.js';
import type { RunningKafka } from '../../tools/kafka/kafka.js';
import { postgresPid } from '../forms/postgres-pid.js';
import { ServiceProcess } from '../forms/service-process.js';
import { startCountingPostgres } from './postgres-costs.js';

/** A log to measure on. */
export interface BenchLog {
  name: string;
  brokers: readonly string[];
  /** The process that serves it; undefined where it is not ours. */
  pid: number | undefined;
}

/** Postgres with the durability of production, the local broker, and Kafka where one is available. */
export interface BenchEnvironment {
  /** With the login of the services. */
  databaseUrl: string;
  /** With the login for what callers read and write. */
  queryDatabaseUrl: string;
  /** With the login that migrates. */
  ownerUrl: string;
  /** With a superuser's login. */
  administratorUrl: string;
  /** The process of the Postgres server, whose children serve the connections. */
  postgresPid: number;
  /** True if Postgres counts its statements, which costs a little. */
  countsStatements: boolean;
  logs: readonly BenchLog[];
  stop(): Promise<void>;
}

export async function startEnvironment({ countStatements }: { countStatements: boolean }): Promise<BenchEnvironment> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const data = join(directory, 'postgres');
  const postgres = await (countStatements ? startCountingPostgres(data) : EmbeddedPostgres.start({ directory: data, durable: true }));
  await migrate(postgres.ownerUrl);

  const brokerPort = await freePort();
  const brokerSettings = { LOCAL_BROKER_PORT: String(brokerPort), LOCAL_BROKER_DIRECTORY: join(directory, 'log') };
  const localBroker = new ServiceProcess('local-broker', brokerPort, brokerSettings, takesConnections);
  await localBroker.start();
  const logs: BenchLog[] = [{ name: 'local broker', brokers: [`127.0.0.1:${brokerPort}`], pid: localBroker.pid }];

  const kafka = await findOrStartKafka();
  if (kafka === undefined) console.log('No Kafka was found (KAFKA_BROKERS, Docker, Java with Maven): measured on the local broker only.');
  else logs.push({ name: 'Kafka 4', brokers: kafka.brokers, pid: kafka.pid });

  return {
    databaseUrl: postgres.serviceUrl,
    queryDatabaseUrl: postgres.queryUrl,
    ownerUrl: postgres.ownerUrl,
    administratorUrl: postgres.administratorUrl,
    postgresPid: postgresPid(data),
    countsStatements: countStatements,
    logs,
    async stop() {
      await kafka?.stop();
      await localBroker.stop();
      await postgres.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Uses the Kafka of KAFKA_BROKERS and leaves it running; else starts one that stops with the bench. Undefined where none is available. */
async function findOrStartKafka(): Promise<Pick<RunningKafka, 'brokers' | 'pid' | 'stop'> | undefined> {
  const given = process.env['KAFKA_BROKERS'];
  const way = await findKafka(given);
  if (way === 'none') return undefined;
  return way === 'brokers' ? { brokers: given!.split(','), pid: undefined, stop: async () => undefined } : startKafka({ way });
}
