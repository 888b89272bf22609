import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Deliveries are found by their runs, whose ids begin with a time, instead of their events, whose ids are hashes. An index that begins with a hash
 * is written at a random page for each event, and the number of those pages grows with what is stored.
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
 * One delivery per step of a run, whatever its id: during an upgrade, a build that makes ids without a time may plan the same decision as a newer
 * build.
 */
const deliveries = [`CREATE UNIQUE INDEX delivery_run ON delivery (tenant_id, run_id, step, destination)`, `DROP INDEX delivery_event`];

/** Unfinished runs and deliveries, in the order of their lists. Failed runs are among them. */
const unfinished = [
  `DROP INDEX run_unfinished`,
  `DROP INDEX run_failed`,
  `CREATE INDEX run_unfinished ON run (tenant_id, started_at, id) WHERE state <> 'completed'`,
  `DROP INDEX delivery_unsettled`,
  `CREATE INDEX delivery_unsettled ON delivery (tenant_id, created_at, id) WHERE state <> 'delivered'`,
];

/**
 * Ascending, and read backwards for the newest first: new rows go to the end, where Postgres fills each page. In a descending index they go to the
 * beginning, where each page is split in halves.
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
