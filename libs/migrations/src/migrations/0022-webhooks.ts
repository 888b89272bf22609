import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The webhooks that were registered at partners. */
export class Webhooks1795219200021 implements MigrationInterface {
  name = 'Webhooks1795219200021';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Webhooks at partners would be known to nobody: a later migration takes the table away.');
  }
}

const statements = [
  // ids: as the system names them, a JSON list. target: what was named beside the events. registered_at: null until the first registration ended.
  // lease_until: one request at a time changes webhooks of a source.
  `CREATE TABLE webhook (
    tenant_id key_text NOT NULL, source key_text NOT NULL, connection key_text NOT NULL, url text NOT NULL, target text NOT NULL, events text[] NOT NULL,
    ids text NOT NULL, registered_at timestamptz(3), secret_changed_at timestamptz(3), lease_until timestamptz(3),
    PRIMARY KEY (tenant_id, source))`,
  `ALTER TABLE webhook ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE webhook FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON webhook TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON webhook TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT ON webhook TO millrace_service`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON webhook TO millrace_query`,
];
