import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The waits of runs, and the state of a run that waits. */
export class Waits1795219200017 implements MigrationInterface {
  name = 'Waits1795219200017';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Runs that wait would never go on: a later migration takes the table away.');
  }
}

const statements = [
  `ALTER TABLE run DROP CONSTRAINT run_state_check`,
  `ALTER TABLE run ADD CONSTRAINT run_state_check CHECK (state IN ('running', 'waiting', 'completed', 'failed')) NOT VALID`,
  `ALTER TABLE run VALIDATE CONSTRAINT run_state_check`,

  // step: its path. state: pending; over, when its run is to be told; taken, when the run went on. reason: why it ended; the first end is final.
  // told_at: when the record that continues the run was appended last. traceparent: of the run's work that began to wait.
  `CREATE TABLE run_wait (
    tenant_id key_text NOT NULL, run_id key_text NOT NULL, step key_text NOT NULL, event_id key_text NOT NULL, customer key_text NOT NULL,
    due_at timestamptz(3) NOT NULL, began_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'pending', reason text, over_at timestamptz(3), told_at timestamptz(3), traceparent text,
    PRIMARY KEY (tenant_id, run_id, step),
    CHECK (state IN ('pending', 'over', 'taken')),
    CHECK (reason IN ('elapsed')))`,
  `CREATE INDEX run_wait_due ON run_wait (due_at) WHERE state = 'pending'`,
  `CREATE INDEX run_wait_told ON run_wait (told_at) WHERE state = 'over'`,
  `ALTER TABLE run_wait ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE run_wait FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON run_wait TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON run_wait TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON run_wait TO millrace_service`,
  `GRANT SELECT ON run_wait TO millrace_query`,
];
