import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Order of deliveries by destination, retries beside the queue, and the health of destinations that all processes share. */
export class DeliveryLanes1795219200003 implements MigrationInterface {
  name = 'DeliveryLanes1795219200003';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...deliveries, ...attempts, ...commands, ...health, retrySchedules]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Deliveries that wait beside their queue would never be attempted: drop the database instead.');
  }
}

const deliveries = [
  // strict: the order of the destination's document when the delivery was planned. aside: it left its queue, and is due at its own time. held_back:
  // another delivery of its customer that is aside goes first. retries: used up since it was planned or redelivered.
  `ALTER TABLE delivery
     ADD COLUMN strict boolean NOT NULL DEFAULT false,
     ADD COLUMN aside boolean NOT NULL DEFAULT false,
     ADD COLUMN held_back boolean NOT NULL DEFAULT false,
     ADD COLUMN retries integer NOT NULL DEFAULT 0,
     ALTER COLUMN retries_left SET DEFAULT 0`,
  `ALTER TABLE delivery DROP CONSTRAINT delivery_state_check`,
  `ALTER TABLE delivery ADD CONSTRAINT delivery_state_check CHECK (state IN ('pending', 'delivered', 'parked', 'skipped')) NOT VALID`,
  `ALTER TABLE delivery VALIDATE CONSTRAINT delivery_state_check`,

  // Deliveries that may be claimed, by destination: a claim reads the first few of each, however many wait behind them.
  `DROP INDEX delivery_due`,
  `CREATE INDEX delivery_due ON delivery (tenant_id, destination, next_attempt_at)
     WHERE state = 'pending' AND next_attempt_at IS NOT NULL AND NOT held_back`,
  `CREATE INDEX delivery_claimed ON delivery (tenant_id, destination) WHERE lease_until IS NOT NULL`,
  // The queue of a customer at a destination: its first delivery has its turn, or blocks the queue when it is strict and parked.
  `DROP INDEX delivery_queue`,
  `CREATE INDEX delivery_queue ON delivery (tenant_id, destination, customer, position)
     WHERE NOT aside AND (state = 'pending' OR (strict AND state = 'parked'))`,
  `CREATE INDEX delivery_aside ON delivery (tenant_id, destination, customer, next_attempt_at) WHERE aside AND state = 'pending'`,
];

/** The mark is on the attempt, so that setting it does not change the delivery's row, which attempts, claims and queues change. */
const attempts = [
  `ALTER TABLE attempt ADD COLUMN announced boolean NOT NULL DEFAULT true`,
  `UPDATE attempt SET announced = false FROM delivery
   WHERE delivery.tenant_id = attempt.tenant_id AND delivery.id = delivery_id AND announced_attempts < attempts AND number > announced_attempts`,
  `ALTER TABLE attempt ALTER COLUMN announced SET DEFAULT false`,
  `CREATE INDEX attempt_unannounced ON attempt (tenant_id, delivery_id, number) WHERE NOT announced`,
  `DROP INDEX delivery_unannounced`,
];

const tenantTable = (table: string): string[] => [
  `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON ${table} TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON ${table} TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO millrace_service`,
  `GRANT SELECT ON ${table} TO millrace_query`,
];

/** Every redeliver and skip that was applied: the log may return any of them again, in their order. */
const commands = [
  `CREATE TABLE delivery_command (
    tenant_id key_text NOT NULL, delivery_id key_text NOT NULL, command_id key_text NOT NULL,
    applied_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, delivery_id, command_id))`,
  ...tenantTable('delivery_command'),
];

/** One small row per destination, changed often: free space in its pages keeps the changes in the same page. */
const health = [
  // document_version: the health of an older version of the document says nothing about a newer one. next_due_ms: the state of the rate limit.
  `CREATE TABLE destination_health (
    tenant_id key_text NOT NULL, destination key_text NOT NULL, document_version integer NOT NULL, breaker json, open_since timestamptz(3),
    open_until timestamptz(3), open_reason text, limited_since timestamptz(3), limited_until timestamptz(3), limited_reason text,
    disabled_since timestamptz(3), disabled_reason text, next_due_ms double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, destination)) WITH (fillfactor = 50)`,
  ...tenantTable('destination_health'),
];

/** Stored destinations keep their delays under the new name. */
const retrySchedules = `
  UPDATE document SET spec = (spec::jsonb || jsonb_build_object('retry', jsonb_build_object('delaysMs', (
    SELECT coalesce(jsonb_agg(least(
      coalesce((spec->'retry'->>'initialDelayMs')::bigint, 1000) * (2 ^ least(n - 1, 30))::bigint,
      coalesce((spec->'retry'->>'maxDelayMs')::bigint, 60000))), '[]')
    FROM generate_series(1, coalesce((spec->'retry'->>'retries')::integer, 5)) AS n))))::json
  WHERE kind = 'Destination' AND spec->'retry' IS NOT NULL AND spec->'retry'->'delaysMs' IS NULL`;
