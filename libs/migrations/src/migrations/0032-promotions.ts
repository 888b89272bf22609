import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Outcomes of trials that become generations of their events. */
export class Promotions1795219200031 implements MigrationInterface {
  name = 'Promotions1795219200031';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('It would be forgotten which outcomes were promoted: a later migration takes the column away.');
  }
}

const statements = [
  // promoted_run_id: the run that was made of the outcome; null if there is none.
  `ALTER TABLE trial_outcome ADD COLUMN promoted_run_id key_text`,
  `ALTER TABLE bulk_operation DROP CONSTRAINT bulk_operation_kind_check`,
  `ALTER TABLE bulk_operation ADD CONSTRAINT bulk_operation_kind_check CHECK (kind IN ('replay', 'redelivery', 'promotion'))`,
];
