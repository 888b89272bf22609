import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { startLocalBroker } from '#apps/local-broker';
import { sharedByProjects } from './shared-by-projects.js';

/** One log for the whole test run: the Kafka of `TEST_KAFKA_BROKERS`, else a local broker. Tests share it, with topics and groups of their own. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const kafka = process.env['TEST_KAFKA_BROKERS'];
  project.provide('onKafka', kafka !== undefined);
  if (kafka !== undefined) {
    project.provide('brokers', kafka.split(','));
    return undefined;
  }
  const { server, release } = await sharedByProjects('local broker', start);
  project.provide('brokers', [server.address]);
  return release;
}

async function start(): Promise<{ address: string; stop(): Promise<void> }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'millrace-test-log-'));
  const broker = await startLocalBroker({ directory });
  return {
    address: broker.address,
    stop: async () => {
      await broker.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
