import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Trials, and what is promoted of them, go on with the decisions that people have made about the same questions. */
export class StoredDecisions1795219200042 implements MigrationInterface {
  name = 'StoredDecisions1795219200042';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Nobody would know any more whose decision a promoted run has: a later migration takes the columns away.');
  }
}

const statements = [
  // The review of an earlier run of the event that a person decided, and whose decision is the output of the step. Null: of any other step.
  `ALTER TABLE step_result ADD COLUMN review_id key_text`,
  // How many reviews have such a decision, and how many expired because there is none.
  `ALTER TABLE trial_outcome ADD COLUMN stored_reviews integer NOT NULL DEFAULT 0, ADD COLUMN expired_reviews integer NOT NULL DEFAULT 0`,
];
