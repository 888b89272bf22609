import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Attempts of models say which ones a route passed over, and for which budget. */
export class ModelsPassedOver1795219200044 implements MigrationInterface {
  name = 'ModelsPassedOver1795219200044';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Nobody would know which models were passed over: a later migration takes the column away.');
  }
}

const statements = [
  // budget: the Budget document for which the model was passed over; null: another reason, or none.
  `ALTER TABLE model_attempt ADD COLUMN budget key_text`,
  // A run that waits looks again and again, and passes the same models over each time: the first time is kept.
  `CREATE UNIQUE INDEX model_attempt_passed_over ON model_attempt (tenant_id, run_id, step, provider, model COLLATE "C", error_code COLLATE "C", budget) NULLS NOT DISTINCT
     WHERE outcome = 'passedOver'`,
];
