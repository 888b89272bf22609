import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The costs of models by day. */
export class ModelSpend1795219200028 implements MigrationInterface {
  name = 'ModelSpend1795219200028';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Budgets would count from nothing: a later migration takes the table away.');
  }
}

const statements = [
  // day: in UTC, of the start of the calls. provider: `-` is that of the installation. currency: `-` where the calls had no price.
  // cost_nanos: in billionths of the currency.
  `CREATE TABLE model_spend (
    tenant_id key_text NOT NULL, day date NOT NULL, flow key_text NOT NULL, provider key_text NOT NULL, model key_text NOT NULL, currency key_text NOT NULL,
    calls bigint NOT NULL, input_tokens bigint NOT NULL, output_tokens bigint NOT NULL, cost_nanos bigint NOT NULL,
    PRIMARY KEY (tenant_id, day, flow, provider, model, currency))`,
  `ALTER TABLE model_spend ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE model_spend FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON model_spend TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON model_spend TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON model_spend TO millrace_service`,
  `GRANT SELECT ON model_spend TO millrace_query`,
];
