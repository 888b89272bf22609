import type { SealedSecret } from '#libs/auth';
import { statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';

export const connectionStates = ['unauthorised', 'connected', 'degraded', 'needsReauth', 'disabled'] as const;
/**
 * - `unauthorised`: it never had a token
 * - `connected`: it works, as far as it is known
 * - `degraded`: its token could not be renewed for a passing reason, or its credential was refused a moment ago and nothing worked since
 * - `needsReauth`: nothing is sent before a person gives consent again or applies a new credential
 * - `disabled`: a person disconnected it
 */
export type ConnectionState = (typeof connectionStates)[number];

export interface ConnectionName {
  readonly tenant: string;
  readonly name: string;
}

/** The condition of a connection, without its tokens. */
export interface ConnectionCondition extends ConnectionName {
  readonly state: ConnectionState;
  readonly changedAt: Date;
  readonly documentVersion: number | null;
  readonly scope: string | null;
  readonly account: Readonly<Record<string, string>> | null;
  readonly obtainedAt: Date | null;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  /** Requests for a token that failed in a row. */
  readonly failures: number;
  readonly lastFailureAt: Date | null;
  readonly lastFailureCode: string | null;
  readonly lastFailureMessage: string | null;
}

/** The row of a connection, held locked until the transaction ends. Times are in ms by the clock of Postgres, which all processes share. */
export interface LockedState {
  readonly state: ConnectionState;
  readonly client: string | null;
  readonly documentVersion: number | null;
  readonly version: number;
  /** Sealed. */
  readonly accessToken: string | null;
  /** Sealed. */
  readonly refreshToken: string | null;
  readonly account: Readonly<Record<string, string>> | null;
  readonly obtainedAtMs: number | null;
  readonly expiresAtMs: number | null;
  readonly refreshStartedAtMs: number | null;
  readonly failures: number;
  readonly retryAtMs: number | null;
  readonly nowMs: number;
}

export interface NewTokens {
  readonly client: string;
  readonly documentVersion: number;
  /** Sealed, like the other. */
  readonly accessToken: string;
  /** Null: there is none. */
  readonly refreshToken: string | null;
  readonly scope: string | null;
  readonly account: Readonly<Record<string, string>>;
  readonly obtainedAtMs: number;
  readonly expiresAtMs: number | null;
}

export interface Failed {
  readonly code: string;
  readonly message: string;
}

const epochMs = (time: string): string => `(extract(epoch FROM ${time}) * 1000)::float8`;
const time = (parameter: string): string => `to_timestamp(${parameter}::float8 / 1000)`;
const key = 'tenant_id = $1 AND name = $2';

/** How long a refresh waits for another process that is at it: longer than the deadline of the token endpoint. */
const lockTimeoutMs = 10_000;
const limitWait = statement('connectionState.limitWait', `SELECT set_config('lock_timeout', '${lockTimeoutMs}', true)`);
const ensure = statement('connectionState.ensure', 'INSERT INTO connection_state (tenant_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING');
const lockOne = statement(
  'connectionState.lock',
  `SELECT state, client, document_version AS "documentVersion", version::float8 AS version, access_token AS "accessToken",
     refresh_token AS "refreshToken", account, ${epochMs('obtained_at')} AS "obtainedAtMs", ${epochMs('expires_at')} AS "expiresAtMs",
     ${epochMs('refresh_started_at')} AS "refreshStartedAtMs", failures, ${epochMs('retry_at')} AS "retryAtMs",
     ${epochMs('clock_timestamp()')} AS "nowMs"
   FROM connection_state WHERE ${key} FOR UPDATE`,
);
const startRefresh = statement(
  'connectionState.startRefresh',
  `UPDATE connection_state SET refresh_started_at = clock_timestamp() WHERE ${key}`,
);
const storeTokens = statement(
  'connectionState.storeTokens',
  `UPDATE connection_state SET state = 'connected', changed_at = CASE WHEN state = 'connected' THEN changed_at ELSE clock_timestamp() END,
     client = $4, document_version = $5, version = $3 + 1, access_token = $6, refresh_token = $7, scope = $8, account = $9,
     obtained_at = ${time('$10')}, expires_at = ${time('$11')}, refresh_started_at = NULL, failures = 0, retry_at = NULL
   WHERE ${key} AND version = $3`,
);
const fail = statement(
  'connectionState.fail',
  `UPDATE connection_state SET state = $3, changed_at = CASE WHEN state = $3 THEN changed_at ELSE clock_timestamp() END, document_version = $4,
     client = $5, access_token = CASE WHEN $6 THEN NULL ELSE access_token END, refresh_token = CASE WHEN $6 THEN NULL ELSE refresh_token END,
     version = CASE WHEN $6 THEN version + 1 ELSE version END, refresh_started_at = NULL, failures = failures + 1,
     retry_at = ${time('$7')}, last_failure_at = clock_timestamp(), last_failure_code = $8, last_failure_message = $9
   WHERE ${key}`,
);
const disable = statement(
  'connectionState.disable',
  `UPDATE connection_state SET state = 'disabled', changed_at = clock_timestamp(), access_token = NULL, refresh_token = NULL, account = NULL, scope = NULL,
     expires_at = NULL, obtained_at = NULL, version = version + 1, failures = 0, retry_at = NULL, refresh_started_at = NULL WHERE ${key}`,
);
const enable = statement(
  'connectionState.enable',
  `UPDATE connection_state SET state = 'unauthorised', changed_at = clock_timestamp() WHERE ${key} AND state = 'disabled'`,
);
const noteUse = statement(
  'connectionState.noteUse',
  `INSERT INTO connection_state (tenant_id, name, state, last_used_at) VALUES ($1, $2, 'connected', clock_timestamp())
   ON CONFLICT (tenant_id, name) DO UPDATE SET last_used_at = excluded.last_used_at`,
);
const noteRefusal = statement(
  'connectionState.noteRefusal',
  `INSERT INTO connection_state AS one (tenant_id, name, state, last_failure_at, last_failure_code, last_failure_message)
   VALUES ($1, $2, 'degraded', clock_timestamp(), $3, $4)
   ON CONFLICT (tenant_id, name) DO UPDATE SET last_failure_at = excluded.last_failure_at, last_failure_code = excluded.last_failure_code,
     last_failure_message = excluded.last_failure_message, changed_at = CASE WHEN one.state = 'connected' THEN clock_timestamp() ELSE one.changed_at END,
     state = CASE WHEN one.state = 'connected' THEN 'degraded' ELSE one.state END`,
);
const noteAccepted = statement(
  'connectionState.noteAccepted',
  `UPDATE connection_state SET state = 'connected', changed_at = clock_timestamp() WHERE ${key} AND state = 'degraded' AND failures = 0`,
);
/** A notice for everybody who has the token or the state in memory. Sent when the transaction commits. */
const notify = statement('connectionState.notify', `SELECT pg_notify('millrace_connections', $1 || '/' || $2)`);
const conditionColumns = `tenant_id AS tenant, name, state, changed_at AS "changedAt", document_version AS "documentVersion", scope, account, failures,
  obtained_at AS "obtainedAt", expires_at AS "expiresAt", last_used_at AS "lastUsedAt", last_failure_at AS "lastFailureAt",
  last_failure_code AS "lastFailureCode", last_failure_message AS "lastFailureMessage"`;
const conditions = statement('connectionState.conditions', `SELECT ${conditionColumns} FROM connection_state WHERE tenant_id = $1`);
const countByState = statement(
  'connectionState.countByState',
  'SELECT tenant_id AS tenant, state, count(*)::integer AS count FROM connection_state GROUP BY tenant_id, state',
);
const idle = statement(
  'connectionState.idle',
  `SELECT tenant_id AS tenant, name FROM connection_state
   WHERE refresh_token IS NOT NULL AND state IN ('connected', 'degraded') AND obtained_at < clock_timestamp() - make_interval(secs => $1::float8 / 1000)
     AND (retry_at IS NULL OR retry_at <= clock_timestamp())
   ORDER BY obtained_at LIMIT 50`,
);
/** Only rows that are older than an hour: the document of a newer one may be on its way. */
const forgetRemoved = statement(
  'connectionState.forgetRemoved',
  `DELETE FROM connection_state AS one WHERE changed_at < clock_timestamp() - interval '1 hour' AND NOT EXISTS (
     SELECT FROM (SELECT spec FROM document WHERE tenant_id = one.tenant_id AND kind = 'Connection' AND name = one.name ORDER BY version DESC LIMIT 1) AS latest
     WHERE spec IS NOT NULL)
   RETURNING tenant_id AS tenant, name`,
);
const sealedPage = statement(
  'connectionState.sealedPage',
  `SELECT tenant_id AS tenant, name, access_token AS "accessToken", refresh_token AS "refreshToken" FROM connection_state
   WHERE (tenant_id, name) > ($1, $2) AND (access_token IS NOT NULL OR refresh_token IS NOT NULL) ORDER BY tenant_id, name LIMIT 500`,
);
const replaceSealed = statement(
  'connectionState.replaceSealed',
  `UPDATE connection_state SET access_token = $3, refresh_token = $4
   WHERE ${key} AND access_token IS NOT DISTINCT FROM $5 AND refresh_token IS NOT DISTINCT FROM $6`,
);

export const connectionsChannel = 'millrace_connections';

/** The sealed tokens of a connection. */
export interface SealedTokens extends ConnectionName {
  readonly accessToken: SealedSecret['sealed'] | null;
  readonly refreshToken: SealedSecret['sealed'] | null;
}

/** The statements on `connection_state`. */
export const connectionStateTable = {
  /** The row of the connection, made if there is none. Waits for a transaction that has it, at most 10 s. @throws DatabaseError 55P03 after that */
  async lock(session: Session, { tenant, name }: ConnectionName): Promise<LockedState> {
    await session.query(limitWait);
    await session.query(ensure, [tenant, name]);
    const [row] = await session.query<LockedState>(lockOne, [tenant, name]);
    return row!;
  },

  async startRefresh(session: Session, { tenant, name }: ConnectionName): Promise<void> {
    await session.query(startRefresh, [tenant, name]);
  },

  /** Stores new tokens, unless newer ones than `version` are stored. */
  async storeTokens(session: Session, { tenant, name }: ConnectionName, version: number, tokens: NewTokens, tell: boolean): Promise<void> {
    const { client, documentVersion, accessToken, refreshToken, scope, account, obtainedAtMs, expiresAtMs } = tokens;
    const values = [client, documentVersion, accessToken, refreshToken, scope, JSON.stringify(account), obtainedAtMs, expiresAtMs];
    await session.query(storeTokens, [tenant, name, version, ...values]);
    if (tell) await session.query(notify, [tenant, name]);
  },

  /** @param dropTokens true if the tokens are worth nothing any more */
  async fail(
    session: Session,
    { tenant, name }: ConnectionName,
    after: {
      readonly state: ConnectionState;
      readonly documentVersion: number;
      readonly client: string;
      readonly dropTokens: boolean;
      readonly retryAtMs: number | null;
      readonly failed: Failed;
      readonly tell: boolean;
    },
  ): Promise<void> {
    const { state, documentVersion, client, dropTokens, retryAtMs, failed, tell } = after;
    await session.query(fail, [tenant, name, state, documentVersion, client, dropTokens, retryAtMs, failed.code, failed.message]);
    if (tell) await session.query(notify, [tenant, name]);
  },

  async disable(session: Session, { tenant, name }: ConnectionName): Promise<void> {
    await session.query(disable, [tenant, name]);
    await session.query(notify, [tenant, name]);
  },

  /** Ends `disabled`. */
  async enable(session: Session, { tenant, name }: ConnectionName): Promise<void> {
    await session.query(enable, [tenant, name]);
  },

  async noteUse(session: Session, { tenant, name }: ConnectionName): Promise<void> {
    await session.query(noteUse, [tenant, name]);
  },

  /** The system refused the credential. */
  async noteRefusal(session: Session, { tenant, name }: ConnectionName, failed: Failed): Promise<void> {
    await session.query(noteRefusal, [tenant, name, failed.code, failed.message]);
  },

  /** The system took the credential that it refused a moment ago. */
  async noteAccepted(session: Session, { tenant, name }: ConnectionName): Promise<void> {
    await session.query(noteAccepted, [tenant, name]);
  },

  conditions(session: Session, tenant: string): Promise<ConnectionCondition[]> {
    return session.query<ConnectionCondition>(conditions, [tenant]);
  },

  countByState(session: Session): Promise<{ tenant: string; state: ConnectionState; count: number }[]> {
    return session.query(countByState);
  },

  /** Connections with a refresh token that was not used for so long. */
  idle(session: Session, forMs: number): Promise<ConnectionName[]> {
    return session.query<ConnectionName>(idle, [forMs]);
  },

  /** Deletes the rows of connections that have no document any more. */
  forgetRemoved(session: Session): Promise<ConnectionName[]> {
    return session.query<ConnectionName>(forgetRemoved);
  },

  sealedPage(session: Session, after: ConnectionName): Promise<SealedTokens[]> {
    return session.query<SealedTokens>(sealedPage, [after.tenant, after.name]);
  },

  /** Replaces sealed tokens by others of the same content, unless they changed meanwhile. */
  async replaceSealed(session: Session, before: SealedTokens, after: SealedTokens): Promise<void> {
    const { tenant, name, accessToken, refreshToken } = before;
    await session.query(replaceSealed, [tenant, name, after.accessToken, after.refreshToken, accessToken, refreshToken]);
  },
};
