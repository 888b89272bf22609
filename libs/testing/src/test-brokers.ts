import { inject } from 'vitest';

/** The brokers of the run (test/setup/log.ts): a Kafka from outside, or a local broker started for it. */
export function testBrokers(): readonly string[] {
  return inject('brokers');
}

/** True if {@link testBrokers} are a Kafka from outside. */
export function onKafka(): boolean {
  return inject('onKafka');
}

/** Registers tests that cannot come out differently on another log, in a file tagged `both-logs`: they run on the local broker only. */
export function sameOnEveryLog(register: () => void): void {
  if (!onKafka()) register();
}
