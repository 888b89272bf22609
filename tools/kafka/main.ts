/**
 * `npm run kafka`: a real Kafka in the foreground, until Ctrl-C, on the same port at each start and with its data kept (Java only; Docker's ends with it).
 * `npm run kafka -- --nodes 3` starts three nodes, of which one may be killed.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startKafkaCluster } from './cluster.js';
import { cache } from './java.js';
import { findKafka, startKafka } from './kafka.js';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '9092' },
    directory: { type: 'string' },
    nodes: { type: 'string', default: '1' },
  },
});
const nodes = Number(values.nodes);
const options = { nodes, port: Number(values.port), directory: values.directory ?? join(cache, `kept-${nodes}`) };

try {
  console.error('Looking for a way to run Kafka (Docker, else Java 17) …');
  const inDocker = nodes === 1 && (await findKafka(undefined)) === 'docker';
  console.error(`Starting ${nodes === 1 ? 'Kafka' : `${nodes} nodes of Kafka`} with ${inDocker ? 'Docker' : 'Java'} …`);
  const kafka = await (inDocker ? startKafka({ way: 'docker', port: options.port }) : startKafkaCluster(options));
  process.once('SIGINT', () => void end(kafka));
  process.once('SIGTERM', () => void end(kafka));
  console.log(`Kafka is ready: KAFKA_BROKERS=${kafka.brokers.join(',')}${nodes < 3 ? ' KAFKA_ACK_COPIES=1' : ' KAFKA_REPLICATION=3'}`);
  console.log(inDocker ? 'Its data ends with it.' : `Its data stays in ${options.directory}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function end(kafka: { stop(): Promise<void> }): Promise<void> {
  await kafka.stop();
  process.exit(0);
}
