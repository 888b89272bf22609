import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Counts the questions of a run's claim to models, so that every repeated question is counted, and leaves free space beside rows that change. */
export class StorageUpkeep1795219200005 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...questions, ...room]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Columns that a running service writes are taken away by a later migration, never by going back.');
  }
}

/** unanswered: questions of this claim whose outputs are not stored. lost_answers: those that were open when the claim before this one ended. */
const questions = [
  `ALTER TABLE run ADD COLUMN unanswered integer NOT NULL DEFAULT 0`,
  `ALTER TABLE run ADD COLUMN lost_answers integer NOT NULL DEFAULT 0`,
];

/** A row that changes in its own page, in no indexed column, touches no index (a HOT update). */
const room = [`ALTER TABLE run SET (fillfactor = 80)`, `ALTER TABLE delivery SET (fillfactor = 80)`];
