import { startKafka } from './kafka.js';

// npm run kafka [directory]: a real Kafka broker in the foreground, until Ctrl-C. With a directory its data is kept there.
const [directory] = process.argv.slice(2);
const kafka = await startKafka(directory === undefined ? {} : { directory });
console.log(`Kafka is ready: KAFKA_BROKERS=${kafka.brokers.join(',')}`);

let stopping = false;
const stop = (): void => {
  if (stopping) return;
  stopping = true;
  kafka.stop().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
};
process.on('SIGINT', stop);
process.on('SIGTERM', stop);
