import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Kafka, logLevel } from 'kafkajs';
import { Client } from 'pg';
import { freePort, takesConnections } from '#libs/ports';
import { uniqueName, waitFor } from '#libs/testing';
import { benchKeys } from '../documents.js';
import type { FloorSettings } from './floor-settings.js';

export interface FloorOptions {
  readonly brokers: readonly string[];
  readonly databaseUrl: string;
  readonly destinationUrl: string;
  readonly modelUrl: string | undefined;
}

/** The least that a durable pipeline does, in two processes: what it costs is what Millrace's figures are divided by. */
export interface Floor {
  readonly url: string;
  readonly door: number;
  readonly worker: number;
  stop(): Promise<void>;
}

const tables = `DROP SCHEMA IF EXISTS floor CASCADE; CREATE SCHEMA floor;
  CREATE TABLE floor.event (id text PRIMARY KEY, customer text NOT NULL, body text NOT NULL, received timestamptz NOT NULL DEFAULT now());
  CREATE TABLE floor.run (event text PRIMARY KEY, started timestamptz NOT NULL DEFAULT now());
  CREATE TABLE floor.result (event text PRIMARY KEY, decision text NOT NULL);
  CREATE TABLE floor.delivery (event text PRIMARY KEY, payload text NOT NULL, settled timestamptz);
  CREATE TABLE floor.attempt (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event text NOT NULL, status int NOT NULL, at timestamptz NOT NULL DEFAULT now())`;

export async function startFloor({ brokers, databaseUrl, destinationUrl, modelUrl }: FloorOptions): Promise<Floor> {
  const topic = uniqueName('floor');
  await prepare(brokers, databaseUrl, topic);
  const port = await freePort();
  const settings: FloorSettings = {
    brokers: [...brokers],
    topic,
    databaseUrl,
    secret: benchKeys.standardWebhooks,
    port,
    destinationUrl,
    modelUrl,
  };
  const [door, worker] = ['door', 'worker'].map((name) => launch(name, settings)) as [ChildProcess, ChildProcess];
  await waitFor(() => takesConnections(port), { deadlineMs: 30_000, what: 'the door of the floor to listen' });
  return {
    url: `http://127.0.0.1:${port}/`,
    door: door.pid!,
    worker: worker.pid!,
    stop: async () => void (await Promise.all([door, worker].map(end))),
  };
}

async function prepare(brokers: readonly string[], databaseUrl: string, topic: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(tables);
  await client.end();
  const admin = new Kafka({ clientId: 'floor', brokers: [...brokers], logLevel: logLevel.ERROR }).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 8, replicationFactor: 1 }] });
  await admin.disconnect();
}

function launch(name: string, settings: FloorSettings): ChildProcess {
  const child = spawn(process.execPath, [`dist/test/bench/floor/${name}.js`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', FLOOR: JSON.stringify(settings) },
  });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
