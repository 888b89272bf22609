import { DatabaseError } from 'pg';
import { DomainError, messageOf } from '#libs/contracts';

/** Postgres is away, starting or full, or it cancelled the statement. The same call may succeed later. */
export class StorageUnavailable extends DomainError {
  readonly code = 'storage.unavailable';
  override readonly ours = true;
  override readonly retryWithinMs = 5_000;

  constructor(cause: unknown) {
    super(`Postgres is not available: ${messageOf(cause)}`, { cause });
  }
}

/** The database has an older schema than this build works with, or none. A start waits until somebody has migrated. */
export class SchemaOutdated extends DomainError {
  readonly code = 'storage.outdated';
  override readonly ours = true;

  /** @param missing what the database lacks, as the object of a sentence */
  constructor(missing: string, options?: ErrorOptions) {
    super(
      `The database lacks ${missing}. ` +
        'Run `npm run migrate` with DATABASE_URL set to the login that owns the schema; a start that waits for it then goes on.',
      options,
    );
  }
}

/** The login of this process, or the way to Postgres, does not give sessions the role that row-level security binds. The process must not start. */
export class RoleRefused extends Error {
  override readonly name = 'RoleRefused';
}

/** The server takes no writes: a standby, or a primary that was made read-only. The address may lead to another server soon. */
export class StandbyRefused extends Error {
  override readonly name = 'StandbyRefused';

  constructor(isStandby: boolean) {
    super(
      isStandby
        ? 'this server is a standby, which takes no writes: DATABASE_URL must lead to the primary'
        : 'its sessions take no writes (default_transaction_read_only)',
    );
  }
}

/**
 * SQLSTATEs, or their classes, after which the same statement may succeed later.
 * @see https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const transientStates = [
  '08', // the connection broke
  '25006', // a replica that is not primary yet, or not any more
  '40', // lost a deadlock or a serialization conflict
  '53', // out of connections, memory or disk
  '55P03', // a lock was not granted in time
  '57014', // the statement time-out
  '57P', // shutting down, crashed, starting up, idle session dropped
  '58', // the server's own disk failed
];

/** The messages of driver errors without a code that mean a lost connection. */
const lostConnection =
  /^(Connection terminated|Client (has encountered a connection error|was closed)|timeout exceeded|timeout expired|Query read timeout|Cannot use a pool)/;

/** True when the connection or the server is at fault, and not the statement or its values. */
export function isConnectionLevel(error: unknown): boolean {
  if (error instanceof DatabaseError) return transientStates.some((state) => error.code?.startsWith(state));
  if (error instanceof AggregateError) return error.errors.every(isConnectionLevel);
  if (error instanceof StandbyRefused) return true;
  return error instanceof Error && ('syscall' in error || lostConnection.test(error.message));
}

/** Maps a driver error: {@link StorageUnavailable} for one of the connection or server, and the error itself for a defect of the statement. */
export function translated(error: unknown): unknown {
  return isConnectionLevel(error) ? new StorageUnavailable(error) : error;
}
