import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How far each schedule has fired. */
export class Schedules1795219200014 implements MigrationInterface {
  name = 'Schedules1795219200014';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Schedules would fire again what they have fired: a later migration takes the table away.');
  }
}

const statements = [
  // timing: what decides when ticks come, so that a change of it begins anew. fired_through: every tick until then was fired or left out.
  // last_tick_at, last_event_id: the last one that was fired; appended_at: when the log had its event. Only the holder of the newest fence notes ticks.
  `CREATE TABLE schedule (
    tenant_id key_text NOT NULL, name key_text NOT NULL, document_version integer NOT NULL, timing text NOT NULL,
    fired_through timestamptz(3) NOT NULL, last_tick_at timestamptz(3), last_event_id key_text, appended_at timestamptz(3),
    fired bigint NOT NULL DEFAULT 0, missed bigint NOT NULL DEFAULT 0, last_missed_at timestamptz(3),
    fence bigint NOT NULL DEFAULT 0, lease_until timestamptz(3),
    PRIMARY KEY (tenant_id, name)) WITH (fillfactor = 70)`,
  `ALTER TABLE schedule ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE schedule FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON schedule TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON schedule TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON schedule TO millrace_service`,
  `GRANT SELECT ON schedule TO millrace_query`,
];
