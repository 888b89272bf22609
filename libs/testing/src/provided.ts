import 'vitest';

/** The values that the setup of a test run (test/setup) provides to its tests. */
declare module 'vitest' {
  export interface ProvidedContext {
    /** A superuser's address on the run's Postgres. */
    postgresUrl: string;
    /** A migrated database that nothing is connected to, for `CREATE DATABASE … TEMPLATE`. */
    postgresTemplate: string;
    brokers: string[];
    /** True if the brokers are a Kafka from outside. */
    onKafka: boolean;
  }
}
