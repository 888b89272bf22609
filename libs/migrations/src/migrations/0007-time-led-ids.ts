import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Deliveries are found by their runs, whose ids begin with a time, and no longer by their events, whose ids are hashes: an index that a hash leads
 * is touched at a random page, another one for each event, and the more is stored the more there are.
 */
export class TimeLedIds1795219200006 implements MigrationInterface {
  name = 'TimeLedIds1795219200006';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...deliveries, ...unfinished, ...ascending]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Indexes that a running service reads are replaced by a later migration, never by going back.');
  }
}

/**
 * One delivery per step of a run, whatever its id: a build that still makes ids without a time may plan the same decision while a newer one takes
 * over.
 */
const deliveries = [`CREATE UNIQUE INDEX delivery_run ON delivery (tenant_id, run_id, step, destination)`, `DROP INDEX delivery_event`];

/** What is unfinished, by when it began, as its lists have it; of runs it holds the failed ones too. */
const unfinished = [
  `DROP INDEX run_unfinished`,
  `DROP INDEX run_failed`,
  `CREATE INDEX run_unfinished ON run (tenant_id, started_at, id) WHERE state <> 'completed'`,
  `DROP INDEX delivery_unsettled`,
  `CREATE INDEX delivery_unsettled ON delivery (tenant_id, created_at, id) WHERE state <> 'delivered'`,
];

/**
 * Read backwards for the newest first. What is new stands at the end then, and Postgres leaves pages full behind it; where it stands at the
 * beginning, each page is split in halves.
 */
const ascending = (
  [
    ['event_received', 'event', 'received_at'],
    ['event_customer', 'event', 'customer, received_at'],
    ['event_source', 'event', 'source, received_at'],
    ['event_type', 'event', 'type COLLATE "C", received_at'],
    ['run_started', 'run', 'started_at'],
    ['run_customer', 'run', 'customer, started_at'],
    ['delivery_created', 'delivery', 'created_at'],
    ['delivery_customer', 'delivery', 'customer, created_at'],
  ] as const
).flatMap(([name, table, columns]) => [`DROP INDEX ${name}`, `CREATE INDEX ${name} ON ${table} (tenant_id, ${columns}, id)`]);
