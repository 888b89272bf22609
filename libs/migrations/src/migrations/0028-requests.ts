import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The requests that doors kept as they were received. */
export class Requests1795219200027 implements MigrationInterface {
  name = 'Requests1795219200027';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Requests that were kept would be lost: a later migration takes the tables away.');
  }
}

const rights = (table: string): string[] => [
  `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON ${table} TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON ${table} TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO millrace_service`,
];

const statements = [
  // headers: a JSON list of {name, value}. body: as far as it is kept; body_bytes is its length as it was received. kept_bytes: what the row takes, about.
  // taken_*: a person had the events of a refused request taken after all.
  `CREATE TABLE request (
    tenant_id key_text NOT NULL, id key_text NOT NULL, source key_text NOT NULL, outcome key_text NOT NULL, code key_text, message text,
    received_at timestamptz(3) NOT NULL, method text NOT NULL, path text NOT NULL, query text, headers json NOT NULL, redacted json NOT NULL,
    client_address text NOT NULL, is_proxied boolean NOT NULL, is_verified boolean NOT NULL,
    body bytea NOT NULL, body_bytes integer NOT NULL, kept_bytes integer NOT NULL, trace_id text,
    taken_at timestamptz(3), taken_by text,
    PRIMARY KEY (tenant_id, id))`,
  `CREATE INDEX request_received ON request (tenant_id, received_at, id)`,
  `CREATE INDEX request_source ON request (tenant_id, source, outcome, received_at, id)`,
  ...rights('request'),
  `GRANT SELECT, UPDATE (taken_at, taken_by) ON request TO millrace_query`,
  // The requests that brought an event.
  `CREATE TABLE request_event (
    tenant_id key_text NOT NULL, event_id key_text NOT NULL, request_id key_text NOT NULL, place integer NOT NULL,
    PRIMARY KEY (tenant_id, event_id, request_id))`,
  `CREATE INDEX request_event_request ON request_event (tenant_id, request_id, place)`,
  ...rights('request_event'),
  `GRANT SELECT, INSERT ON request_event TO millrace_query`,
  // True: a person sent a kept request again. Null is false.
  `ALTER TABLE event ADD COLUMN is_test boolean`,
];
