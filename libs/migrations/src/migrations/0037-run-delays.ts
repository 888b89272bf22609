import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The reasons for which runs cannot go on, although nothing is wrong with them: a budget is spent, a model limits requests, a credential is refused. */
export class RunDelays1795219200036 implements MigrationInterface {
  name = 'RunDelays1795219200036';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Nobody would know why runs wait: a later migration takes the table away.');
  }
}

const statements = [
  // step: the path of the step that cannot go on; '-': none. budget: the Budget document that is spent; '-': another reason. ends_at: when it ends by
  // itself; null: not known. last_at: when the run looked last and could not go on. fence: of the claim that looked last.
  `CREATE TABLE run_delay (
    tenant_id key_text NOT NULL, run_id key_text NOT NULL, step key_text NOT NULL, code key_text NOT NULL, budget key_text NOT NULL, event_id key_text NOT NULL,
    message text NOT NULL, ends_at timestamptz(3), began_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    last_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), fence bigint NOT NULL,
    PRIMARY KEY (tenant_id, run_id, step, code, budget))`,
  `ALTER TABLE run_delay ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE run_delay FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON run_delay TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON run_delay TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON run_delay TO millrace_service`,
  `GRANT SELECT ON run_delay TO millrace_query`,
];
