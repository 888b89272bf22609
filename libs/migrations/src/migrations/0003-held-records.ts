import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Customers whose records wait, the records that wait, and how a dead letter was resolved (null for those resolved before this migration). */
export class HeldRecords1795219200002 implements MigrationInterface {
  name = 'HeldRecords1795219200002';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...tables, ...Object.entries(rightsOfQuery).flatMap(policies), ...deadLetters]) {
      await runner.query(statement);
    }
  }

  async down(): Promise<void> {
    throw new Error('Records that wait would be lost: release them first, and leave the tables.');
  }
}

const tables = [
  // record_key tells customers apart, byte by byte as the log does; customer is what could be read of it. cause_offset is the record that
  // could not be processed, and is the first of the held ones; reason overflow has neither cause nor dead letter.
  `CREATE TABLE hold (
    tenant_id key_text NOT NULL, consumer_group key_text NOT NULL, topic key_text NOT NULL, partition integer NOT NULL, record_key bytea NOT NULL,
    customer key_text NOT NULL, reason text NOT NULL, cause_offset bigint, dead_letter_id key_text, retry_requested_at timestamptz(3),
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, consumer_group, topic, partition, record_key),
    CHECK (reason IN ('poison', 'overflow')),
    CHECK ((reason = 'poison') = (dead_letter_id IS NOT NULL AND cause_offset IS NOT NULL)))`,
  // The owner of a partition looks for its holds, over all tenants.
  `CREATE INDEX hold_partition ON hold (consumer_group, topic, partition)`,
  `CREATE INDEX hold_customer ON hold (tenant_id, customer)`,
  `CREATE INDEX hold_dead_letter ON hold (tenant_id, dead_letter_id)`,

  `CREATE TABLE held_record (
    tenant_id key_text NOT NULL, consumer_group key_text NOT NULL, topic key_text NOT NULL, partition integer NOT NULL, record_key bytea NOT NULL,
    log_offset bigint NOT NULL, appended_at timestamptz(3) NOT NULL, value bytea, headers json NOT NULL,
    held_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, consumer_group, topic, partition, record_key, log_offset))`,
];

const rightsOfQuery: Record<string, string> = {
  hold: 'SELECT',
  // Without value and headers: the body of an event is shown at the event.
  held_record: 'SELECT (tenant_id, consumer_group, topic, partition, record_key, log_offset, appended_at, held_at)',
};

function policies([table, rights]: [string, string]): string[] {
  return [
    `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
    `ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`,
    `CREATE POLICY service ON ${table} TO millrace_service USING (true) WITH CHECK (true)`,
    `CREATE POLICY tenant ON ${table} TO millrace_query
       USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO millrace_service`,
    `GRANT ${rights} ON ${table} TO millrace_query`,
  ];
}

const deadLetters = [
  `ALTER TABLE dead_letter ADD COLUMN resolution text CHECK (resolution IN ('replayed', 'redelivered', 'retried', 'skipped'))`,
  `CREATE OR REPLACE VIEW dead_letter_summary WITH (security_invoker = true) AS
     SELECT tenant_id, id, kind, customer, code, message, event_id, run_id, delivery_id, position, created_at, resolved_at, resolution FROM dead_letter`,
];
