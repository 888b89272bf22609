import { inject } from 'vitest';

/** The brokers of the run (test/setup/log.ts): a Kafka from outside, or a local broker started for it. */
export function testBrokers(): readonly string[] {
  return inject('brokers');
}

/** Whether {@link testBrokers} are a Kafka from outside. */
export function onKafka(): boolean {
  return inject('onKafka');
}
