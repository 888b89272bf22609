import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The state of connections: their tokens, sealed, their health, and the consents that were asked for. */
export class Connections1795219200013 implements MigrationInterface {
  name = 'Connections1795219200013';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...tables, ...rights]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('The tokens of connections would be lost: a later migration takes the tables away.');
  }
}

const tables = [
  // One row for each connection that was used. state: unauthorised, connected, degraded, needsReauth, disabled.
  // client: a digest of the client and the token endpoint that the tokens belong to; with another client they are worth nothing.
  // document_version: of the document with which the state was reached. version: grows with each new token.
  // expires_at: null if the system does not say. refresh_started_at: set while a refresh is under way; still set after one whose process crashed.
  // account: what the system said of the account. failures, retry_at: refreshes that failed in a row, and when the next one may be tried.
  `CREATE TABLE connection_state (
    tenant_id key_text NOT NULL, name key_text NOT NULL, state text NOT NULL DEFAULT 'unauthorised', changed_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    client text, document_version integer, version bigint NOT NULL DEFAULT 0, access_token text, refresh_token text, scope text, account jsonb,
    obtained_at timestamptz(3), expires_at timestamptz(3), refresh_started_at timestamptz(3), failures integer NOT NULL DEFAULT 0, retry_at timestamptz(3),
    last_used_at timestamptz(3), last_failure_at timestamptz(3), last_failure_code text, last_failure_message text,
    PRIMARY KEY (tenant_id, name),
    CHECK (state IN ('unauthorised', 'connected', 'degraded', 'needsReauth', 'disabled'))) WITH (fillfactor = 70)`,
  `CREATE INDEX connection_state_obtained ON connection_state (obtained_at) WHERE refresh_token IS NOT NULL`,

  // A consent that a person was sent to give. id: a hash of the \`state\` that the system sends back. verifier: of PKCE, sealed. issuer: the one that the
  // answer must name, null if none is expected. It is deleted by the first answer.
  `CREATE TABLE connection_consent (
    tenant_id key_text NOT NULL, id key_text NOT NULL, name key_text NOT NULL, principal text NOT NULL, verifier text NOT NULL, issuer text, client text NOT NULL,
    redirect_uri text NOT NULL, allow_other_account boolean NOT NULL, created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), expires_at timestamptz(3) NOT NULL,
    PRIMARY KEY (tenant_id, id))`,
  `CREATE INDEX connection_consent_expires ON connection_consent (expires_at)`,
];

const rights = ['connection_state', 'connection_consent'].flatMap((name) => [
  `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON ${name} TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON ${name} TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO millrace_service`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO millrace_query`,
]);
