import type { Connections } from '#libs/connections';
import { Connectors, namedConnector } from '#libs/connectors';
import type { OpenConnection } from '#libs/connectors';
import { NotFound } from '#libs/contracts';
import { Deliverers } from '#libs/destinations';
import type { HttpClient } from '#libs/http';
import type { Configuration } from '#libs/persistence';

/** The deliverers of a process, which take connections and connectors from its configuration. */
export function deliverersOf(http: HttpClient, configuration: Configuration, connections: Connections): Deliverers {
  const connectors = new Connectors({ http, connectorOf: (tenant, name) => namedConnector(configuration.documentsOf(tenant), name) });
  const openConnection = (tenant: string, name: string): OpenConnection => {
    const stored = configuration.connection(tenant, name);
    if (stored === undefined) throw new NotFound('connection', name);
    const { connector, settings, timeoutMs } = stored.document.spec;
    return { tenant, name, connector, settings, authorizer: connections.of(stored), timeoutMs };
  };
  return new Deliverers({ http, connectors, openConnection });
}
