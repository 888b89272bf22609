import type { ConnectorDocument, ConnectionDocument, ConnectorSpec, DocumentLookup, ConnectorOperation } from '#libs/contracts';
import { builtInConnectors } from './built-in.js';
import { DescriptionRefused } from './description.js';
import { connectorSpecOf } from './described-connector.js';

/** The connector of this name: a built-in one, or a document of the tenant. One whose OpenAPI document or WSDL is refused, which apply tells, does not exist. */
export function namedConnector(find: DocumentLookup, name: string): ConnectorSpec | undefined {
  const known = builtInConnectors().get(name);
  if (known !== undefined) return known;
  const own = find('Connector', name) as ConnectorDocument | undefined;
  try {
    return own === undefined ? undefined : connectorSpecOf(own.spec);
  } catch (error) {
    if (error instanceof DescriptionRefused) return undefined;
    throw error;
  }
}

/** An operation of a connection's connector; undefined if one of the three does not exist. */
export function namedOperation(find: DocumentLookup, connection: string, operation: string): ConnectorOperation | undefined {
  const connected = find('Connection', connection) as ConnectionDocument | undefined;
  const operations = connected === undefined ? undefined : namedConnector(find, connected.spec.connector)?.operations;
  return operations !== undefined && Object.hasOwn(operations, operation) ? operations[operation] : undefined;
}
