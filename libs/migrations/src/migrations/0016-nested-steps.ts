import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The columns that say in which order the results of a run were kept, and which of them is that of a failure. */
export class NestedSteps1795219200015 implements MigrationInterface {
  name = 'NestedSteps1795219200015';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Steps that have others within them would lose what they decided: drop the database instead.');
  }
}

const statements = [
  // began: what a step stores before the steps within it can act, such as the branch that it takes. failed: a failure that the flow handles.
  // ordinal: counts the results of a run from 0, in the order in which they were kept; null in rows of an earlier release.
  // error_code: of a failed row its failure, of a succeeded one the failure that it fell back from.
  `ALTER TABLE step_result
     ADD COLUMN ordinal integer,
     ADD COLUMN error_code text,
     ADD COLUMN error_message text`,
  `ALTER TABLE step_result DROP CONSTRAINT step_result_state_check`,
  `ALTER TABLE step_result ADD CONSTRAINT step_result_state_check CHECK (state IN ('began', 'succeeded', 'skipped', 'failed')) NOT VALID`,
  `ALTER TABLE step_result VALIDATE CONSTRAINT step_result_state_check`,
];
