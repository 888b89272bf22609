import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How far each pull has read. */
export class Pulls1795219200020 implements MigrationInterface {
  name = 'Pulls1795219200020';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Pulls would read from the beginning again: a later migration takes the table away.');
  }
}

const statements = [
  // list: what decides which list is read, so that a change of it begins anew. cursor: the greatest value of the items of all passes that ended, as JSON.
  // pass_*: of the pass under way: when it began, the cursor that it began with, the greatest value so far, its pages. position: the next page, as JSON.
  // next_at: when a pass begins or goes on. Only the holder of the newest fence notes anything.
  `CREATE TABLE pull (
    tenant_id key_text NOT NULL, name key_text NOT NULL, document_version integer NOT NULL, connection key_text NOT NULL, list text NOT NULL,
    cursor text, cursor_moved_at timestamptz(3),
    pass_started_at timestamptz(3), pass_since text, pass_reached text, pass_pages integer NOT NULL DEFAULT 0, position text,
    next_at timestamptz(3) NOT NULL, last_success_at timestamptz(3), last_event_id key_text,
    pages bigint NOT NULL DEFAULT 0, items bigint NOT NULL DEFAULT 0, repeated bigint NOT NULL DEFAULT 0, skipped bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0, last_failure_at timestamptz(3), last_failure_code text, last_failure_message text,
    fence bigint NOT NULL DEFAULT 0, lease_until timestamptz(3),
    PRIMARY KEY (tenant_id, name)) WITH (fillfactor = 70)`,
  `CREATE INDEX pull_due ON pull (next_at)`,
  `ALTER TABLE pull ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE pull FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON pull TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON pull TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON pull TO millrace_service`,
  `GRANT SELECT ON pull TO millrace_query`,
];
