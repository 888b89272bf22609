import { handle, part } from '../operations/part.js';
import { authorizeConnection, disconnectConnection, getConnection, listConnections, testConnection } from './connection.operations.js';
import { ConnectionService } from './connection.service.js';
import { ConnectionTable } from './connection.table.js';

export const connectionPart = part({
  providers: [ConnectionTable, ConnectionService],
  operations: [
    handle(listConnections, ({ principal, get }) => get(ConnectionTable).list(principal.tenant)),
    handle(getConnection, ({ principal, get }, { name }) => get(ConnectionTable).find(principal.tenant, name)),
    handle(testConnection, ({ principal, get }, { name }) => get(ConnectionService).test(principal, name)),
    handle(authorizeConnection, ({ principal, get }, input) => get(ConnectionService).authorize(principal, input)),
    handle(disconnectConnection, ({ principal, get }, { name }) => get(ConnectionService).disconnect(principal, name)),
  ],
});
