import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The models that the providers of tenants list, and models that are out. */
export class TenantModels1795219200034 implements MigrationInterface {
  name = 'TenantModels1795219200034';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('The services of this release read the tables: a later migration takes them away.');
  }
}

const tenantTable = (name: string): string[] => [
  `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON ${name} TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON ${name} TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO millrace_service`,
  `GRANT SELECT ON ${name} TO millrace_query`,
];

const statements = [
  // name, version: of the ModelProvider document. models: as in model_provider; null as long as this version was never asked with success.
  // due_at: when a process asks next, also if the one that asks now ends.
  `CREATE TABLE tenant_model_provider (
    tenant_id key_text NOT NULL, name key_text NOT NULL, version integer NOT NULL, models text[], listed_at timestamptz(3), asked_at timestamptz(3),
    error_code text, error_message text, due_at timestamptz(3) NOT NULL, PRIMARY KEY (tenant_id, name))`,
  ...tenantTable('tenant_model_provider'),
  // provider: `-` is that of the installation. seen_at: when a process last said that its circuit for the model is open.
  `CREATE TABLE model_outage (
    tenant_id key_text NOT NULL, provider key_text NOT NULL, model key_text NOT NULL, seen_at timestamptz(3) NOT NULL, PRIMARY KEY (tenant_id, provider, model))`,
  ...tenantTable('model_outage'),
];
