import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How many items of a bulk operation were left out, by the code of the reason: `{"delivery.secondEffect": 3}`. */
export class LeftOutItems1795219200043 implements MigrationInterface {
  name = 'LeftOutItems1795219200043';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE bulk_operation ADD COLUMN left_out jsonb NOT NULL DEFAULT '{}'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE bulk_operation DROP COLUMN left_out`);
  }
}
