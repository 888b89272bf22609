import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The model providers of the installation, and the models that each lists. They are no rows of a tenant: every tenant's flows use them. */
export class ModelProviders1795219200010 implements MigrationInterface {
  name = 'ModelProviders1795219200010';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('The services of this release read the table: a later migration takes it away.');
  }
}

const statements = [
  // address: of requests, without credentials. models: empty if the provider lists none; null if it was never asked with success.
  // error_code, error_message: why the last question failed; models and listed_at then keep the last answer.
  // due_at: when a process asks next. used_at: when a process that calls this provider last said so.
  `CREATE TABLE model_provider (
    address key_text PRIMARY KEY, models text[], listed_at timestamptz(3), asked_at timestamptz(3) NOT NULL, error_code text, error_message text,
    due_at timestamptz(3) NOT NULL, used_at timestamptz(3) NOT NULL)`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON model_provider TO millrace_service`,
  `GRANT SELECT ON model_provider TO millrace_query`,
];
