import { LruMap } from '#libs/lru';
import type { Database, Session } from '#libs/persistence';
import { logger } from '#libs/tracing';
import { inTenant } from './in-tenant.js';
import { connectionStateTable } from './state/connection-state.table.js';
import type { ConnectionName } from './state/connection-state.table.js';

/** The notes of one connection, about what its system made of its credential. */
export interface CredentialNotes {
  /** The credential is about to be sent. */
  used(): void;
  /** The system took it: an earlier refusal counts no longer. */
  accepted(): void;
  /** The system refused it, and there is no newer one. */
  refused(): Promise<void>;
}

/** The same is noted at most so often by one process, in ms. */
const notedEveryMs = 60_000;
const remembered = 10_000;

const log = logger('connections');

/** Keeps what people see of connections. Nothing else depends on it, so a note that cannot be stored is lost. */
export class ConnectionNotes {
  /** When something was noted last, by the monotonic clock. */
  private readonly noted = new LruMap<string, number>(remembered);
  private readonly underWay = new Set<Promise<void>>();

  constructor(private readonly database: Database) {}

  of(connection: ConnectionName): CredentialNotes {
    const { tenant, name } = connection;
    const acceptance = `${tenant}/${name}/accepted`;
    return {
      used: () =>
        this.sometimes(`${tenant}/${name}/used`, () =>
          this.note(connection, (session) => connectionStateTable.noteUse(session, connection)),
        ),
      accepted: () => this.sometimes(acceptance, () => this.accepted(connection)),
      refused: async () => {
        this.noted.delete(acceptance); // the next acceptance is noted at once
        const failed = { code: 'connection.refused', message: 'the system refused the credential' };
        await this.note(connection, (session) => connectionStateTable.noteRefusal(session, connection, failed));
      },
    };
  }

  /** The system took the credential, so that an earlier refusal counts no longer, whichever process saw it. */
  async accepted(connection: ConnectionName): Promise<void> {
    await this.note(connection, (session) => connectionStateTable.noteAccepted(session, connection));
  }

  /** Waits for notes under way. */
  async close(): Promise<void> {
    await Promise.all(this.underWay);
  }

  private sometimes(key: string, note: () => Promise<void>): void {
    const last = this.noted.get(key);
    if (last !== undefined && performance.now() - last < notedEveryMs) return;
    this.noted.set(key, performance.now());
    const noted = note().finally(() => this.underWay.delete(noted));
    this.underWay.add(noted);
  }

  private async note({ tenant, name }: ConnectionName, write: (session: Session) => Promise<void>): Promise<void> {
    await inTenant(this.database, tenant, write).catch((error: unknown) =>
      log.warn({ err: error, tenant, connection: name }, 'a note about a connection is lost'),
    );
  }
}
