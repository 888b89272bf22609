import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A run knows the dead letter that ordered it, so that a skip of the dead letter withdraws it. */
export class RetriesOfRuns1795219200040 implements MigrationInterface {
  name = 'RetriesOfRuns1795219200040';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Nobody would know which runs retry a dead letter: a later migration takes the column away.');
  }
}

// Null: the event's own run, or a replay by will.
const statements = [`ALTER TABLE run ADD COLUMN dead_letter_id key_text`];
