import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The first schema. Rules that hold for every table:
 * - `tenant_id` leads every key and index, and row-level security is forced: the role of `query` sees one tenant, the role of the services
 *   sees all and always names the tenant.
 * - Keys compare by bytes, whatever the locale of the cluster: pages are the same everywhere, and an index never outlives its collation.
 * - Times keep milliseconds, as JavaScript's Date does: a cursor made from a row names exactly that row.
 * - JSON that a model or a partner wrote is `json`, not `jsonb`: it is kept as it came (`jsonb` refuses `\u0000` and reorders keys).
 * - Ids are deterministic, so writing a thing twice is `ON CONFLICT DO NOTHING`.
 */
export class Spine1795219200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...roles, ...tables, ...policies(), ...notices, ...functionRights]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('The first schema has no way back: drop the database instead.');
  }
}

/**
 * Roles belong to the whole cluster, so another database may have created them, even at this moment. For a login that may not create roles, an
 * administrator creates them and makes the login a member.
 */
const role = (name: string): string => `DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '${name}') THEN CREATE ROLE ${name} NOLOGIN; END IF;
  EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`;
/** Postgres 15 has no privilege `SET` of a membership: there, every member may take the role. */
const membership = (name: string): string => `DO $$ BEGIN
  IF NOT pg_has_role(current_user, '${name}', CASE WHEN current_setting('server_version_num')::integer < 160000 THEN 'MEMBER' ELSE 'SET' END) THEN GRANT ${name} TO CURRENT_USER; END IF; END $$`;

const roles = [
  role('millrace_service'),
  role('millrace_query'),
  membership('millrace_service'),
  membership('millrace_query'),
  `GRANT USAGE ON SCHEMA public TO millrace_service, millrace_query`,
  // TypeORM's table of applied migrations: a service reads it at its start.
  `GRANT SELECT ON migration TO millrace_service, millrace_query`,
  `CREATE DOMAIN key_text AS text COLLATE "C"`,
];

const tables = [
  // Every version of every document; the current one is the highest version, and a removed document ends with a version whose spec is null.
  `CREATE TABLE document (
    tenant_id key_text NOT NULL, kind key_text NOT NULL, name key_text NOT NULL, version integer NOT NULL,
    spec json, digest text NOT NULL, created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), created_by text NOT NULL,
    PRIMARY KEY (tenant_id, kind, name, version))`,

  `CREATE TABLE api_key (
    tenant_id key_text NOT NULL, id key_text NOT NULL, name key_text NOT NULL, secret_hash bytea NOT NULL, scopes text[] NOT NULL,
    created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), created_by text NOT NULL, expires_at timestamptz(3), revoked_at timestamptz(3),
    PRIMARY KEY (tenant_id, id))`,
  `CREATE UNIQUE INDEX api_key_id ON api_key (id)`,

  `CREATE TABLE audit_entry (
    tenant_id key_text NOT NULL, id uuid NOT NULL DEFAULT gen_random_uuid(), at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL, action text NOT NULL, target key_text NOT NULL, detail json,
    PRIMARY KEY (tenant_id, id))`,
  `CREATE INDEX audit_entry_at ON audit_entry (tenant_id, at DESC, id DESC)`,

  `CREATE TABLE customer (
    tenant_id key_text NOT NULL, customer key_text NOT NULL, first_event_at timestamptz(3) NOT NULL, last_event_at timestamptz(3) NOT NULL,
    PRIMARY KEY (tenant_id, customer))`,
  `CREATE INDEX customer_recent ON customer (tenant_id, last_event_at DESC, customer DESC)`,

  `CREATE TABLE event (
    tenant_id key_text NOT NULL, id key_text NOT NULL, source key_text NOT NULL, customer key_text NOT NULL, type key_text NOT NULL, lane text NOT NULL,
    provider_event_id text, occurred_at timestamptz(3) NOT NULL, received_at timestamptz(3) NOT NULL,
    recorded_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), trace_id text, content_type text NOT NULL, body bytea NOT NULL,
    log_topic text NOT NULL, log_partition integer NOT NULL, log_offset bigint NOT NULL,
    PRIMARY KEY (tenant_id, id))`,
  `CREATE INDEX event_received ON event (tenant_id, received_at DESC, id DESC)`,
  `CREATE INDEX event_customer ON event (tenant_id, customer, received_at DESC, id DESC)`,

  // state: running, completed, failed. fence and lease_until guard the claim: only the holder of the newest fence may finish it.
  // failures counts what used up the retry budget; waiting for a limited model or for our own log does not.
  `CREATE TABLE run (
    tenant_id key_text NOT NULL, id key_text NOT NULL, event_id key_text NOT NULL, customer key_text NOT NULL, flow key_text NOT NULL, flow_version integer NOT NULL,
    generation integer NOT NULL, command_id key_text, state text NOT NULL, fence bigint NOT NULL DEFAULT 1, lease_until timestamptz(3),
    failures integer NOT NULL DEFAULT 0, decision json, deliveries json, error_code text, error_message text,
    trace_id text, started_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), finished_at timestamptz(3),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, event_id, flow, generation),
    CHECK (state IN ('running', 'completed', 'failed')))`,
  `CREATE INDEX run_started ON run (tenant_id, started_at DESC, id DESC)`,
  `CREATE INDEX run_customer ON run (tenant_id, customer, started_at DESC, id DESC)`,
  `CREATE INDEX run_command ON run (tenant_id, command_id) WHERE command_id IS NOT NULL`,

  // The first finished row of a step wins for ever: there is no UPDATE of output anywhere.
  `CREATE TABLE step_result (
    tenant_id key_text NOT NULL, run_id key_text NOT NULL, step key_text NOT NULL, event_id key_text NOT NULL, kind key_text NOT NULL, state text NOT NULL,
    output json, model text, response_model text, input_tokens integer, output_tokens integer,
    started_at timestamptz(3) NOT NULL, finished_at timestamptz(3) NOT NULL,
    PRIMARY KEY (tenant_id, run_id, step),
    CHECK (state IN ('succeeded', 'skipped')))`,

  `CREATE TABLE model_attempt (
    tenant_id key_text NOT NULL, run_id key_text NOT NULL, step key_text NOT NULL, number integer NOT NULL, fence bigint NOT NULL, event_id key_text NOT NULL,
    model text NOT NULL, response_model text, provider_request_id text, outcome text NOT NULL, error_code text, error_message text,
    input_tokens integer, output_tokens integer, started_at timestamptz(3) NOT NULL, finished_at timestamptz(3) NOT NULL,
    PRIMARY KEY (tenant_id, run_id, step, fence, number))`,

  // position orders the deliveries of one (destination, customer): the oldest pending one has its turn, and those behind it wait with
  // next_attempt_at null. announced_attempts < attempts: an attempt is stored whose DeliveryAttempted may not be on the log yet.
  `CREATE TABLE delivery (
    tenant_id key_text NOT NULL, id key_text NOT NULL, event_id key_text NOT NULL, run_id key_text NOT NULL, flow key_text NOT NULL, generation integer NOT NULL,
    step key_text NOT NULL, customer key_text NOT NULL, destination key_text NOT NULL, position bigint GENERATED ALWAYS AS IDENTITY, payload json NOT NULL,
    state text NOT NULL DEFAULT 'pending', attempts integer NOT NULL DEFAULT 0, announced_attempts integer NOT NULL DEFAULT 0, retries_left integer NOT NULL, next_attempt_at timestamptz(3), fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz(3), last_command_id key_text, traceparent text, error_code text, error_message text,
    event_received_at timestamptz(3) NOT NULL, created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), settled_at timestamptz(3),
    PRIMARY KEY (tenant_id, id),
    CHECK (state IN ('pending', 'delivered', 'parked')))`,
  `CREATE INDEX delivery_created ON delivery (tenant_id, created_at DESC, id DESC)`,
  `CREATE INDEX delivery_event ON delivery (tenant_id, event_id)`,
  `CREATE INDEX delivery_due ON delivery (next_attempt_at) WHERE state = 'pending' AND next_attempt_at IS NOT NULL`,
  `CREATE INDEX delivery_queue ON delivery (tenant_id, destination, customer, position) WHERE state = 'pending'`,
  `CREATE INDEX delivery_unannounced ON delivery (tenant_id, id) WHERE announced_attempts < attempts`,

  `CREATE TABLE attempt (
    tenant_id key_text NOT NULL, delivery_id key_text NOT NULL, number integer NOT NULL, event_id key_text NOT NULL, outcome text NOT NULL,
    status integer, error_code text, error_message text, response_excerpt text,
    started_at timestamptz(3) NOT NULL, finished_at timestamptz(3) NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id, number),
    CHECK (outcome IN ('succeeded', 'failed')))`,

  `CREATE TABLE dead_letter (
    tenant_id key_text NOT NULL, id key_text NOT NULL, kind key_text NOT NULL, customer key_text NOT NULL, code text NOT NULL, message text NOT NULL,
    event_id key_text, run_id key_text, delivery_id key_text, position text, value bytea, created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    resolved_at timestamptz(3),
    PRIMARY KEY (tenant_id, id))`,
  `CREATE INDEX dead_letter_created ON dead_letter (tenant_id, created_at DESC, id DESC)`,
  `CREATE INDEX dead_letter_event ON dead_letter (tenant_id, event_id)`,
];

/** Every table, and what the `query` app may do to it beyond reading; everything else it asks for with a command. */
const rightsOfQuery: Record<string, string> = {
  document: 'SELECT, INSERT',
  // The hash of a key's secret is for the services that check keys.
  api_key: 'SELECT (tenant_id, id, name, scopes, created_at, created_by, expires_at, revoked_at), INSERT, UPDATE (revoked_at)',
  audit_entry: 'SELECT, INSERT',
  customer: 'SELECT',
  event: 'SELECT',
  run: 'SELECT',
  step_result: 'SELECT',
  model_attempt: 'SELECT',
  delivery: 'SELECT',
  attempt: 'SELECT',
  dead_letter: 'SELECT',
};

function policies(): string[] {
  return Object.entries(rightsOfQuery).flatMap(([table, rights]) => [
    `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
    `ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`,
    `CREATE POLICY service ON ${table} TO millrace_service USING (true) WITH CHECK (true)`,
    `CREATE POLICY tenant ON ${table} TO millrace_query
       USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO millrace_service`,
    `GRANT ${rights} ON ${table} TO millrace_query`,
  ]);
}

/** The triggers need the function; its current text stands in `libs/persistence/src/configuration.functions.sql`. */
const notices = [
  `CREATE FUNCTION notify_configuration() RETURNS trigger LANGUAGE plpgsql AS $$
   BEGIN PERFORM pg_notify('millrace_configuration', TG_TABLE_NAME); RETURN NULL; END $$`,
  ...['document', 'api_key'].map(
    (table) => `CREATE TRIGGER configuration_changed AFTER INSERT OR UPDATE OR DELETE ON ${table}
     FOR EACH STATEMENT EXECUTE FUNCTION notify_configuration()`,
  ),
];

/** Functions are for our two roles, and run with the caller's rights, so row-level security binds them. */
const functionRights = [
  `ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`,
  `ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO millrace_service, millrace_query`,
];
