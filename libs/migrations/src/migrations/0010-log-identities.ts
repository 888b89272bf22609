import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Names the logs that the offsets of held records count in. A topic that was created anew begins at offset 0 again, so that without its identity a record of
 * it would be taken for one that is held already. Log 0 is the unknown log of the records that were held before this migration.
 */
export class LogIdentities1795219200009 implements MigrationInterface {
  name = 'LogIdentities1795219200009';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Records of two logs could not be told apart any more: leave the columns.');
  }
}

const statements = [
  // number counts the logs of a topic in the order in which they were first seen, from 1. It is no row of a tenant.
  `CREATE TABLE log_identity (
    topic key_text NOT NULL, log_id key_text NOT NULL, number integer NOT NULL, first_seen_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, log_id),
    UNIQUE (topic, number))`,
  `GRANT SELECT, INSERT ON log_identity TO millrace_service`,
  `ALTER TABLE hold ADD COLUMN cause_log integer NOT NULL DEFAULT 0`,
  `ALTER TABLE held_record ADD COLUMN log integer NOT NULL DEFAULT 0`,
  `ALTER TABLE held_record DROP CONSTRAINT held_record_pkey,
     ADD PRIMARY KEY (tenant_id, consumer_group, topic, partition, record_key, log, log_offset)`,
];
