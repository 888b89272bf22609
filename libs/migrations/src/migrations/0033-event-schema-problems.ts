import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The place and the reason where an event does not fit the schema of its source. */
export class EventSchemaProblems1795219200032 implements MigrationInterface {
  name = 'EventSchemaProblems1795219200032';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE event ADD COLUMN schema_problem text`);
  }

  async down(): Promise<void> {
    throw new Error('What was found when events were taken would be lost: a later migration takes the column away.');
  }
}
