import type { Connections } from '#libs/connections';
import { NotFound } from '#libs/contracts';
import type { HttpClient } from '#libs/http';
import type { Configuration } from '#libs/persistence';
import type { OpenConnection } from './connector.js';
import { Connectors } from './connectors.js';
import { namedConnector } from './named-connector.js';

/** A connection as its current document says. */
export interface TenantConnection extends OpenConnection {
  readonly version: number;
}

/** The connections and connectors of all tenants, from the configuration of the process. */
export class TenantConnections {
  readonly connectors: Connectors;

  constructor(
    http: HttpClient,
    private readonly configuration: Configuration,
    private readonly connections: Connections,
  ) {
    this.connectors = new Connectors({ http, connectorOf: (tenant, name) => namedConnector(configuration.documentsOf(tenant), name) });
  }

  /** The connection of this name, ready for use. @throws NotFound, DocumentSecretsUnreadable */
  readonly open = (tenant: string, name: string): TenantConnection => {
    const stored = this.configuration.connection(tenant, name);
    if (stored === undefined) throw new NotFound('connection', name);
    const { connector, settings, timeoutMs } = stored.document.spec;
    return { tenant, name, version: stored.version, connector, settings, authorizer: this.connections.of(stored), timeoutMs };
  };
}
