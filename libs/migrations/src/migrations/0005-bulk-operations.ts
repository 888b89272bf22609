import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The tables of bulk operations and of idempotency keys. */
export class BulkOperations1795219200004 implements MigrationInterface {
  name = 'BulkOperations1795219200004';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...table, ...rights]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('A process may be at work on an operation: a later migration takes the table away.');
  }
}

const table = [
  // state: running, completed, cancelled, failed. Only the holder of the newest fence appends commands. total: null until it was counted;
  // counting stops at a limit, and then total_exact is false. position: the last item whose command was appended; null before the first.
  // An idempotency key belongs to one input: a request that reuses it with another input is refused.
  `CREATE TABLE bulk_operation (
    tenant_id key_text NOT NULL, id key_text NOT NULL, kind text NOT NULL, selection text NOT NULL, filter jsonb NOT NULL, flow text,
    rate_per_second integer NOT NULL, state text NOT NULL DEFAULT 'running', total integer, total_exact boolean, done integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0, position json, actor text NOT NULL, fence bigint NOT NULL DEFAULT 0, lease_until timestamptz(3),
    error_code text, error_message text, started_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), finished_at timestamptz(3),
    PRIMARY KEY (tenant_id, id),
    CHECK (kind IN ('replay', 'redelivery')),
    CHECK (state IN ('running', 'completed', 'cancelled', 'failed')))`,
  `CREATE INDEX bulk_operation_started ON bulk_operation (tenant_id, started_at DESC, id DESC)`,
  `CREATE INDEX bulk_operation_running ON bulk_operation (tenant_id, started_at) WHERE state = 'running'`,

  `CREATE TABLE idempotency_key (
    tenant_id key_text NOT NULL, action key_text NOT NULL, key key_text NOT NULL, input_digest text NOT NULL,
    at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, action, key))`,
];

const rightsOfQuery: Record<string, string> = { bulk_operation: 'SELECT', idempotency_key: 'SELECT, INSERT' };

const rights = Object.entries(rightsOfQuery).flatMap(([name, granted]) => [
  `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON ${name} TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON ${name} TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO millrace_service`,
  `GRANT ${granted} ON ${name} TO millrace_query`,
]);
