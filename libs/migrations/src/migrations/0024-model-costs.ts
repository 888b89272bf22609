import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The provider and the cost of each call of a model. */
export class ModelCosts1795219200023 implements MigrationInterface {
  name = 'ModelCosts1795219200023';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('What calls cost would be lost: a later migration takes the columns away.');
  }
}

const statements = [
  // provider: the ModelProvider document; null: the provider of the installation. cost_nanos: in billionths of the currency.
  `ALTER TABLE model_attempt ADD COLUMN provider key_text, ADD COLUMN cost_nanos bigint, ADD COLUMN currency text`,
];
