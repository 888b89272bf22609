import type { ConnectorDocument, ConnectionDocument, ConnectorSpec, DocumentLookup, ConnectorOperation } from '#libs/contracts';
import { builtInConnectors } from './built-in.js';

/** The connector of this name: a built-in one, or a document of the tenant. */
export function namedConnector(find: DocumentLookup, name: string): ConnectorSpec | undefined {
  return builtInConnectors().get(name) ?? (find('Connector', name) as ConnectorDocument | undefined)?.spec;
}

/** An operation of a connection's connector; undefined if one of the three does not exist. */
export function namedOperation(find: DocumentLookup, connection: string, operation: string): ConnectorOperation | undefined {
  const connected = find('Connection', connection) as ConnectionDocument | undefined;
  const operations = connected === undefined ? undefined : namedConnector(find, connected.spec.connector)?.operations;
  return operations !== undefined && Object.hasOwn(operations, operation) ? operations[operation] : undefined;
}
