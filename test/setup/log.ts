import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { startLocalBroker } from '#apps/local-broker';

/** One log for the whole test run: the Kafka of `TEST_KAFKA_BROKERS`, else a local broker. Tests share it, with topics and groups of their own. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const kafka = process.env['TEST_KAFKA_BROKERS'];
  project.provide('onKafka', kafka !== undefined);
  if (kafka !== undefined) {
    project.provide('brokers', kafka.split(','));
    return undefined;
  }
  const directory = await mkdtemp(path.join(tmpdir(), 'millrace-test-log-'));
  const broker = await startLocalBroker({ directory });
  project.provide('brokers', [broker.address]);
  return async () => {
    await broker.stop();
    await rm(directory, { recursive: true, force: true });
  };
}
