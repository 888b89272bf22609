import { Injectable } from '@nestjs/common';
import { connectionStateTable } from '#libs/connections';
import type { ConnectionCondition } from '#libs/connections';
import { namedConnector } from '#libs/connectors';
import type { ConnectionAuth, ConnectionDocument, ConnectorSpec, DocumentKind } from '#libs/contracts';
import { DocumentTable, TenantDatabase, lookupIn } from '#libs/persistence';
import type { Stored, StoredVersion } from '#libs/persistence';
import { latencyMs, wallTimeMs } from '#libs/time';
import type { ConnectionRow } from './connection.operations.js';

/** For how long a refusal of the credential counts, if nothing is heard since. */
const refusalCountsMs = 600_000;

@Injectable()
export class ConnectionTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
  ) {}

  /** By name. */
  list(tenant: string): Promise<ConnectionRow[]> {
    return this.database.asTenant(tenant, async (session) => {
      const documents = await this.documents.current(session, tenant, 'Connection');
      const known = new Map((await connectionStateTable.conditions(session, tenant)).map((each) => [each.name, each]));
      return documents.map(({ name, document }) => rowOf(name, document as ConnectionDocument, known.get(name)));
    });
  }

  async find(tenant: string, name: string): Promise<ConnectionRow | null> {
    return (await this.list(tenant)).find((each) => each.name === name) ?? null;
  }

  /** The current document; undefined if there is none. */
  async documentOf(tenant: string, name: string): Promise<Stored<ConnectionDocument> | undefined> {
    return connectionIn(await this.current(tenant, 'Connection'), name);
  }

  /** The current document with its connector; undefined if there is none. */
  async connectedOf(tenant: string, name: string): Promise<{ stored: Stored<ConnectionDocument>; connector: ConnectorSpec } | undefined> {
    const documents = await this.current(tenant);
    const stored = connectionIn(documents, name);
    const connector = stored && namedConnector(lookupIn(documents), stored.document.spec.connector);
    return connector && { stored, connector };
  }

  private current(tenant: string, kind?: DocumentKind): Promise<StoredVersion[]> {
    return this.database.asTenant(tenant, (session) => this.documents.current(session, tenant, kind));
  }
}

function connectionIn(documents: readonly StoredVersion[], named: string): Stored<ConnectionDocument> | undefined {
  return documents.find(({ kind, name }) => kind === 'Connection' && name === named) as Stored<ConnectionDocument> | undefined;
}

function rowOf(name: string, { spec }: ConnectionDocument, known: ConnectionCondition | undefined): ConnectionRow {
  const { connector, auth } = spec;
  const oauth = oauthOf(auth);
  const { lastFailureAt: at = null, lastFailureCode: code = null, lastFailureMessage: message = null } = known ?? {};
  return {
    name,
    connector,
    auth: auth.kind,
    grant: oauth?.grant ?? null,
    state: stateOf(oauth !== undefined, known),
    since: known?.changedAt ?? null,
    account: Object.entries(known?.account ?? {}).map(([field, value]) => ({ name: field, value })),
    scope: known?.scope ?? null,
    expiresAt: known?.expiresAt ?? null,
    lastUsedAt: known?.lastUsedAt ?? null,
    lastFailure: at === null || code === null || message === null ? null : { at, code, message },
  };
}

function oauthOf(auth: ConnectionAuth): Extract<ConnectionAuth, { kind: 'oauth2' }> | undefined {
  const inner = auth.kind === 'mtls' ? auth.and : auth;
  return inner?.kind === 'oauth2' ? inner : undefined;
}

/** A credential that was refused is not asked about again, so the refusal loses its meaning with time. */
function stateOf(isOAuth: boolean, known: ConnectionCondition | undefined): ConnectionRow['state'] {
  if (known === undefined) return isOAuth ? 'unauthorised' : 'connected';
  const isOldRefusal =
    known.state === 'degraded' &&
    known.failures === 0 &&
    (known.lastFailureAt === null || latencyMs(known.lastFailureAt.getTime(), wallTimeMs()) > refusalCountsMs);
  return isOldRefusal ? 'connected' : known.state;
}
