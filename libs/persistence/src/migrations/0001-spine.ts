import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The first schema. Rules that hold for every table:
 * - `tenant_id` leads every key and index, and row-level security is forced: the role of `query` sees one tenant, the role of the services
 *   sees all and always names the tenant.
 * - JSON that a model or a partner wrote is `json`, not `jsonb`: it is kept as it came (`jsonb` refuses `\u0000` and reorders keys).
 * - Ids are deterministic, so writing a thing twice is `ON CONFLICT DO NOTHING`.
 */
export class Spine1763712000000 implements MigrationInterface {
  name = 'Spine1763712000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...roles, ...tables, ...policies()]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('The first schema has no way back: drop the database instead.');
  }
}

/** Roles belong to the whole cluster, so another database may have made them at the same moment. */
const role = (name: string): string => `DO $$ BEGIN CREATE ROLE ${name} NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`;

const roles = [
  role('millrace_service'),
  role('millrace_query'),
  `GRANT millrace_service, millrace_query TO CURRENT_USER`,
  `GRANT USAGE ON SCHEMA public TO millrace_service, millrace_query`,
];

const tables = [
  // Every version of every document; the current one is the highest version, and a removed document ends with a version whose spec is null.
  `CREATE TABLE document (
    tenant_id text NOT NULL, kind text NOT NULL, name text NOT NULL, version integer NOT NULL,
    spec json, digest text NOT NULL, created_at timestamptz NOT NULL DEFAULT clock_timestamp(), created_by text NOT NULL,
    PRIMARY KEY (tenant_id, kind, name, version))`,

  `CREATE TABLE api_key (
    tenant_id text NOT NULL, id text NOT NULL, name text NOT NULL, secret_hash bytea NOT NULL, scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(), created_by text NOT NULL, expires_at timestamptz, revoked_at timestamptz,
    PRIMARY KEY (tenant_id, id))`,
  `CREATE UNIQUE INDEX api_key_id ON api_key (id)`,

  `CREATE TABLE audit_entry (
    tenant_id text NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL, action text NOT NULL, target text NOT NULL, detail json,
    PRIMARY KEY (tenant_id, id))`,
  `CREATE INDEX audit_entry_at ON audit_entry (tenant_id, at DESC, id DESC)`,

  `CREATE TABLE customer (
    tenant_id text NOT NULL, customer text NOT NULL, first_event_at timestamptz NOT NULL, last_event_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, customer))`,
  `CREATE INDEX customer_recent ON customer (tenant_id, last_event_at DESC, customer DESC)`,

  `CREATE TABLE event (
    tenant_id text NOT NULL, id text NOT NULL, source text NOT NULL, customer text NOT NULL, type text NOT NULL, lane text NOT NULL,
    provider_event_id text, occurred_at timestamptz NOT NULL, received_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(), trace_id text, content_type text NOT NULL, body bytea NOT NULL,
    log_topic text NOT NULL, log_partition integer NOT NULL, log_offset bigint NOT NULL,
    PRIMARY KEY (tenant_id, id))`,
  `CREATE INDEX event_received ON event (tenant_id, received_at DESC, id DESC)`,
  `CREATE INDEX event_customer ON event (tenant_id, customer, received_at DESC, id DESC)`,

  // state: running, completed, failed. fence and lease_until guard the claim: only the holder of the newest fence may finish it.
  // failures counts what used up the retry budget; waiting for a limited model or for our own log does not.
  `CREATE TABLE run (
    tenant_id text NOT NULL, id text NOT NULL, event_id text NOT NULL, customer text NOT NULL, flow text NOT NULL, flow_version integer NOT NULL,
    generation integer NOT NULL, command_id text, state text NOT NULL, fence bigint NOT NULL DEFAULT 1, lease_until timestamptz,
    failures integer NOT NULL DEFAULT 0, decision json, deliveries json, error_code text, error_message text,
    trace_id text, started_at timestamptz NOT NULL DEFAULT clock_timestamp(), finished_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, event_id, flow, generation),
    CHECK (state IN ('running', 'completed', 'failed')))`,
  `CREATE INDEX run_started ON run (tenant_id, started_at DESC, id DESC)`,
  `CREATE INDEX run_customer ON run (tenant_id, customer, started_at DESC, id DESC)`,
  `CREATE INDEX run_command ON run (tenant_id, command_id) WHERE command_id IS NOT NULL`,

  // The first finished row of a step wins for ever: there is no UPDATE of output anywhere.
  `CREATE TABLE step_result (
    tenant_id text NOT NULL, run_id text NOT NULL, step text NOT NULL, event_id text NOT NULL, kind text NOT NULL, state text NOT NULL,
    output json, model text, response_model text, input_tokens integer, output_tokens integer,
    started_at timestamptz NOT NULL, finished_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, step),
    CHECK (state IN ('succeeded', 'skipped')))`,

  `CREATE TABLE model_attempt (
    tenant_id text NOT NULL, run_id text NOT NULL, step text NOT NULL, number integer NOT NULL, fence bigint NOT NULL, event_id text NOT NULL,
    model text NOT NULL, response_model text, provider_request_id text, outcome text NOT NULL, error_code text, error_message text,
    input_tokens integer, output_tokens integer, started_at timestamptz NOT NULL, finished_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, run_id, step, fence, number))`,

  // position orders the deliveries of one (destination, customer): the oldest pending one has its turn, and those behind it wait with
  // next_attempt_at null. announced_attempts < attempts: an attempt is stored whose DeliveryAttempted may not be on the log yet.
  `CREATE TABLE delivery (
    tenant_id text NOT NULL, id text NOT NULL, event_id text NOT NULL, run_id text NOT NULL, flow text NOT NULL, generation integer NOT NULL,
    step text NOT NULL, customer text NOT NULL, destination text NOT NULL, position bigint GENERATED ALWAYS AS IDENTITY, payload json NOT NULL,
    state text NOT NULL DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0, announced_attempts integer NOT NULL DEFAULT 0, retries_left integer NOT NULL, next_attempt_at timestamptz, fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz, last_command_id text, traceparent text, error_code text, error_message text,
    event_received_at timestamptz NOT NULL, created_at timestamptz NOT NULL DEFAULT clock_timestamp(), settled_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK (state IN ('pending', 'delivered', 'parked')))`,
  `CREATE INDEX delivery_created ON delivery (tenant_id, created_at DESC, id DESC)`,
  `CREATE INDEX delivery_event ON delivery (tenant_id, event_id)`,
  `CREATE INDEX delivery_due ON delivery (next_attempt_at) WHERE state = 'pending' AND next_attempt_at IS NOT NULL`,
  `CREATE INDEX delivery_queue ON delivery (tenant_id, destination, customer, position) WHERE state = 'pending'`,
  `CREATE INDEX delivery_unannounced ON delivery (tenant_id, id) WHERE announced_attempts < attempts`,

  `CREATE TABLE attempt (
    tenant_id text NOT NULL, delivery_id text NOT NULL, number integer NOT NULL, event_id text NOT NULL, outcome text NOT NULL,
    status integer, error_code text, error_message text, response_excerpt text,
    started_at timestamptz NOT NULL, finished_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id, number),
    CHECK (outcome IN ('succeeded', 'failed')))`,

  `CREATE TABLE dead_letter (
    tenant_id text NOT NULL, id text NOT NULL, kind text NOT NULL, customer text NOT NULL, code text NOT NULL, message text NOT NULL,
    event_id text, run_id text, delivery_id text, position text, value bytea, created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz,
    PRIMARY KEY (tenant_id, id))`,
  `CREATE INDEX dead_letter_created ON dead_letter (tenant_id, created_at DESC, id DESC)`,
  `CREATE INDEX dead_letter_event ON dead_letter (tenant_id, event_id)`,
];

const tenantTables = [
  'document', 'api_key', 'audit_entry', 'customer', 'event', 'run', 'step_result', 'model_attempt', 'delivery', 'attempt', 'dead_letter',
];
/** What the `query` app writes itself; everything else it asks for with a command. */
const ownedByQuery = ['document', 'api_key', 'audit_entry'];

function policies(): string[] {
  return tenantTables.flatMap((table) => [
    `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
    `ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`,
    `CREATE POLICY service ON ${table} TO millrace_service USING (true) WITH CHECK (true)`,
    `CREATE POLICY tenant ON ${table} TO millrace_query
       USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO millrace_service`,
    `GRANT ${ownedByQuery.includes(table) ? 'SELECT, INSERT, UPDATE' : 'SELECT'} ON ${table} TO millrace_query`,
  ]);
}
