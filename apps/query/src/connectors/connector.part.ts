import { handle, part } from '../operations/part.js';
import { listConnectors } from './connector.operations.js';
import { ConnectorTable } from './connector.table.js';

export const connectorPart = part({
  providers: [ConnectorTable],
  operations: [handle(listConnectors, ({ principal, get }) => get(ConnectorTable).list(principal.tenant))],
});
