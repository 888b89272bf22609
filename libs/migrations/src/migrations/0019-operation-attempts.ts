import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Operations of connectors that runs made in other systems. */
export class OperationAttempts1795219200018 implements MigrationInterface {
  name = 'OperationAttempts1795219200018';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('The services of this release write the table: a later migration takes it away.');
  }
}

const statements = [
  // The row is inserted before an operation that writes is sent, under the fence of its run. outcome null: it is under way, or its result was lost.
  `CREATE TABLE operation_attempt (
    tenant_id key_text NOT NULL, run_id key_text NOT NULL, step key_text NOT NULL, fence bigint NOT NULL, number integer NOT NULL, event_id key_text NOT NULL,
    connection key_text NOT NULL, operation key_text NOT NULL, started_at timestamptz(3) NOT NULL, finished_at timestamptz(3), outcome text,
    status integer, response_excerpt text, error_code text, error_message text,
    PRIMARY KEY (tenant_id, run_id, step, fence, number),
    CHECK (outcome IN ('succeeded', 'failed', 'uncertain')))`,
  `ALTER TABLE operation_attempt ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE operation_attempt FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON operation_attempt TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON operation_attempt TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON operation_attempt TO millrace_service`,
  `GRANT SELECT ON operation_attempt TO millrace_query`,
];
