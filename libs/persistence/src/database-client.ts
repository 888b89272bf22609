import { Client } from 'pg';
import type { ClientBase, ClientConfig } from 'pg';
import { readTlsFiles } from '#libs/tls';
import type { TlsFiles } from '#libs/tls';
import { RoleRefused, StandbyRefused } from './storage.errors.js';

/** The options of a connection: those of the driver, the files of its certificates, and its role. */
export interface DatabaseClientConfig extends ClientConfig {
  /** Undefined: the connection is not encrypted. */
  tls?: TlsFiles | undefined;
  /** The role that the session must have, of a login that row-level security binds. Undefined: any. */
  role?: string | undefined;
}

/**
 * One connection to Postgres. It reads the files of its certificates itself, because the driver keeps what it was given, and it checks the server
 * and its own session before it is used: a pooler may have dropped the role.
 */
export class DatabaseClient extends Client {
  private readonly unreadable: unknown;
  private readonly role: string | undefined;

  constructor(config: DatabaseClientConfig) {
    const { options, failure } = attempt(config.tls);
    super({ ...config, ssl: options ?? false });
    this.unreadable = failure;
    this.role = config.role;
    this.on('error', () => undefined); // the statement under way fails with it
  }

  /**
   * @throws Error with a sentence for a server that is not trusted, or does not trust this process
   * @throws StandbyRefused when the server takes no writes
   * @throws RoleRefused when the session is not one of the role, or its login is not bound by row-level security
   */
  override connect(): Promise<void>;
  override connect(callback: (error: Error) => void): void;
  override connect(callback?: (error: Error) => void): Promise<void> | void {
    const connecting = this.open();
    if (callback === undefined) return connecting;
    connecting.then(
      () => process.nextTick(callback),
      (error: unknown) => process.nextTick(callback, error),
    );
  }

  private async open(): Promise<void> {
    if (this.unreadable !== undefined) throw this.unreadable;
    try {
      await super.connect();
    } catch (error) {
      throw explained(error);
    }
    if (this.role === undefined) return;
    try {
      await requireWritable(this);
      const { rows } = await this.query<SessionRights>(sessionRights);
      requireRole(rows[0]!, this.role);
    } catch (error) {
      void this.end().catch(() => undefined);
      throw error;
    }
  }
}

/** A file that cannot be read fails the connection, and not the code that makes one: a pool would end the process. */
function attempt(tls: TlsFiles | undefined): { options?: ReturnType<typeof readTlsFiles>; failure?: unknown } {
  if (tls === undefined) return {};
  try {
    return { options: readTlsFiles(tls, 'database') };
  } catch (failure) {
    return { failure };
  }
}

/** Codes of Node for a certificate that it does not trust. */
const untrusted = /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|INVALID_CA|PATH_LENGTH|HOSTNAME_MISMATCH|ERR_TLS_CERT)/;
/** Codes of OpenSSL for what the other side objects to. */
const alert = /^ERR_SSL_.*ALERT/;

/** An error of the encryption, with what to do about it. */
function explained(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = 'code' in error ? String(error.code) : '';
  const { message } = error;
  const sentence = ((): string | undefined => {
    if (message.includes('does not support SSL'))
      return 'it does not encrypt connections: set `ssl = on` there, or sslmode=disable in the address';
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `its certificate is for another host than the one in the address: ${message}`;
    if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired: renew it';
    if (untrusted.test(code))
      return `its certificate is not trusted (${message}): DATABASE_CA_FILE must hold the authority that it comes from`;
    if (alert.test(code)) return `it does not trust the certificate of this process (${message}): see DATABASE_CERTIFICATE_FILE`;
    return undefined;
  })();
  return sentence === undefined ? error : new Error(sentence, { cause: error });
}

/**
 * Every service writes, so a session that cannot is of no use to it. `transaction_read_only` is on at every standby.
 * @throws StandbyRefused when the server takes no writes
 */
export async function requireWritable(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ isStandby: boolean; isReadOnly: boolean }>(
    `SELECT pg_is_in_recovery() AS "isStandby", current_setting('transaction_read_only')::boolean AS "isReadOnly"`,
  );
  if (rows[0]!.isReadOnly) throw new StandbyRefused(rows[0]!.isStandby);
}

interface SessionRights {
  role: string;
  login: string;
  /** The roles that row-level security does not bind and that the login can take; its own name among them. */
  unbound: string[];
}

const sessionRights = `SELECT current_user AS role, session_user AS login,
   ARRAY(SELECT rolname::text FROM pg_roles WHERE (rolsuper OR rolbypassrls) AND pg_has_role(session_user, oid, 'MEMBER')) AS unbound`;

function requireRole({ role, login, unbound }: SessionRights, wanted: string): void {
  if (role !== wanted) {
    throw new RoleRefused(
      `The session of the login ${login} has the role ${role} instead of ${wanted}: something between here and Postgres, such as a pooler, drops start-up options. ` +
        `Connect to Postgres directly, or give the login its role there: ALTER ROLE "${login}" SET role = '${wanted}'.`,
    );
  }
  if (unbound.length > 0) {
    const what = unbound.includes(login)
      ? 'is a superuser or has BYPASSRLS'
      : `can become ${unbound[0]}, which is a superuser or has BYPASSRLS`;
    throw new RoleRefused(
      `The login ${login} ${what}, so row-level security would not bind it: use a login that is neither and is a member of ${wanted} only (docs/operations.md, "The logins of Postgres").`,
    );
  }
}
