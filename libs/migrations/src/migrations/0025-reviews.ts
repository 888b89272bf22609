import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The questions of runs to people. */
export class Reviews1795219200024 implements MigrationInterface {
  name = 'Reviews1795219200024';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Runs that wait for a person would only expire: a later migration takes the table away.');
  }
}

const statements = [
  // step: its path. flow: of the run. place: the order of the queue, the first first: escalated or not, 9 less the priority, when it was asked.
  // state: an open review is claimed as long as claimed_until is ahead. A withdrawn one has lost its run. ended_at: when it was decided, expired or was
  // withdrawn. change, changed_at: the last change, for those who follow the queue. Of a proposal, value or context that is null, the column is null.
  `CREATE TABLE review (
    tenant_id key_text NOT NULL, id key_text NOT NULL, run_id key_text NOT NULL, step key_text NOT NULL, event_id key_text NOT NULL,
    customer key_text NOT NULL, flow key_text NOT NULL, state key_text NOT NULL DEFAULT 'open', place key_text NOT NULL, priority smallint NOT NULL,
    proposal json, default_value json, schema json, reason text, context json,
    asked_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), expires_at timestamptz(3) NOT NULL,
    escalate_at timestamptz(3), escalated_at timestamptz(3), claimed_by text, claimed_until timestamptz(3),
    outcome text, value json, decided_by text, decision_reason text, ended_at timestamptz(3),
    change text NOT NULL DEFAULT 'requested', changed_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    CHECK (state IN ('open', 'decided', 'expired', 'withdrawn')),
    CHECK (outcome IN ('approved', 'corrected', 'rejected', 'expired')))`,
  `CREATE UNIQUE INDEX review_step ON review (tenant_id, run_id, step)`,
  `CREATE INDEX review_queue ON review (tenant_id, place, id) WHERE state = 'open'`,
  `CREATE INDEX review_asked ON review (tenant_id, asked_at, id)`,
  `CREATE INDEX review_expires ON review (expires_at) WHERE state = 'open'`,
  `CREATE INDEX review_escalates ON review (escalate_at) WHERE state = 'open' AND escalated_at IS NULL`,
  `CREATE INDEX review_changed ON review (tenant_id, changed_at)`,
  `ALTER TABLE review ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE review FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON review TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON review TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON review TO millrace_service`,
  `GRANT SELECT ON review TO millrace_query`,
  `GRANT UPDATE (state, claimed_by, claimed_until, outcome, value, decided_by, decision_reason, ended_at, change, changed_at) ON review TO millrace_query`,
  // A decided review is the end of the wait for it.
  `GRANT UPDATE (due_at) ON run_wait TO millrace_query`,
];
