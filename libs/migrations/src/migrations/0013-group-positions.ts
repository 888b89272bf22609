import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * How far each consumer group has finished each partition, beside the effects of what it finished: a standby or a backup that has a position has those
 * effects, too, whatever the log says. It is no row of a tenant.
 */
export class GroupPositions1795219200012 implements MigrationInterface {
  name = 'GroupPositions1795219200012';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('The services of this release write the table: a later migration takes it away.');
  }
}

const statements = [
  // log_id: the log that log_offset counts in. appended_at: of the record at log_offset, or of the last one before it.
  `CREATE TABLE group_position (
    consumer_group key_text NOT NULL, topic key_text NOT NULL, partition integer NOT NULL,
    log_id key_text NOT NULL, log_offset bigint NOT NULL, appended_at timestamptz(3) NOT NULL,
    saved_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer_group, topic, partition)) WITH (fillfactor = 50)`,
  `GRANT SELECT, INSERT, UPDATE ON group_position TO millrace_service`,
];
