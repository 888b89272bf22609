import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Indexes and views that GraphQL's lists read. */
export class QueryPages1795219200001 implements MigrationInterface {
  name = 'QueryPages1795219200001';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...indexes, ...audit, ...views]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Indexes and views that a running service reads are taken away by a later migration, never by going back.');
  }
}

/** One per filter that would otherwise read a tenant's whole history. Types compare by bytes, so that a prefix is a range. */
const indexes = [
  `CREATE INDEX event_source ON event (tenant_id, source, received_at DESC, id DESC)`,
  `CREATE INDEX event_type ON event (tenant_id, type COLLATE "C", received_at DESC, id DESC)`,
  `CREATE INDEX run_unfinished ON run (tenant_id, event_id) WHERE state <> 'completed'`,
  `CREATE INDEX run_failed ON run (tenant_id, started_at DESC, id DESC) WHERE state = 'failed'`,
  `CREATE INDEX delivery_customer ON delivery (tenant_id, customer, created_at DESC, id DESC)`,
  `CREATE INDEX delivery_unsettled ON delivery (tenant_id, event_id) WHERE state <> 'delivered'`,
  `CREATE INDEX delivery_parked ON delivery (tenant_id, created_at DESC, id DESC) WHERE state = 'parked'`,
  `CREATE INDEX dead_letter_open ON dead_letter (tenant_id, created_at DESC, id DESC) WHERE resolved_at IS NULL`,
];

/** A mutation that is sent again with its idempotency key is the same command, and so has one entry. */
const audit = [
  `ALTER TABLE audit_entry ADD COLUMN command_id key_text`,
  `CREATE UNIQUE INDEX audit_entry_command ON audit_entry (tenant_id, command_id) WHERE command_id IS NOT NULL`,
  `CREATE INDEX audit_entry_target ON audit_entry (tenant_id, target, at)`,
];

/** Rows without their large columns, for pages. */
const views = [
  `CREATE VIEW event_summary WITH (security_invoker = true) AS
     SELECT e.tenant_id, e.id, e.source, e.customer, e.type, e.lane, e.provider_event_id, e.occurred_at, e.received_at, e.recorded_at,
       e.trace_id, e.content_type, coalesce(c.first_event_at, e.received_at) AS customer_first_event_at,
       coalesce(c.last_event_at, e.received_at) AS customer_last_event_at
     FROM event e LEFT JOIN customer c ON c.tenant_id = e.tenant_id AND c.customer = e.customer`,
  `CREATE VIEW dead_letter_summary WITH (security_invoker = true) AS
     SELECT tenant_id, id, kind, customer, code, message, event_id, run_id, delivery_id, position, created_at, resolved_at FROM dead_letter`,
  `GRANT SELECT ON event_summary, dead_letter_summary TO millrace_query, millrace_service`,
];
