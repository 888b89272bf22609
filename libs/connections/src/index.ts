export type { AuthorizedRequest, Authorizer, OutboundRequest } from './authorizer.js';
export { ConnectionNeedsReauth, ConnectionUnavailable } from './connection.errors.js';
export { Connections } from './connections.js';
export type { ConnectionsOptions } from './connections.js';
