import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Waits for events. */
export class EventWaits1795219200019 implements MigrationInterface {
  name = 'EventWaits1795219200019';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Runs that wait for events would never go on: a later migration takes the columns away.');
  }
}

const statements = [
  // types: the types of events that end the wait, as patterns of LIKE; null if it waits for its time only. since: the event was received then or later.
  // looked: how many events of these types the run has looked at, and none of them was the one.
  // reason: event, where one of such a type has arrived, so that the run looks whether it is the one.
  `ALTER TABLE run_wait ADD COLUMN types json, ADD COLUMN since timestamptz(3), ADD COLUMN looked integer NOT NULL DEFAULT 0`,
  `ALTER TABLE run_wait DROP CONSTRAINT run_wait_reason_check`,
  `ALTER TABLE run_wait ADD CONSTRAINT run_wait_reason_check CHECK (reason IN ('elapsed', 'event'))`,
  `CREATE INDEX run_wait_events ON run_wait (tenant_id, customer) WHERE state = 'pending' AND types IS NOT NULL`,
];
