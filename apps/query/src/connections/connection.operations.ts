import { z } from 'zod';
import { connectionStates } from '#libs/connections';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, timestamp, valuesOf } from '../operations/shape.js';

export const connectionState = enumeration(
  'ConnectionState',
  valuesOf(connectionStates, {
    unauthorised: 'It never had a token. One with consent sends nothing before `authorizeConnection`.',
    connected: 'It works, as far as is known.',
    degraded:
      'Its token could not be renewed for a passing reason, or its credential was refused in the last ten minutes and nothing worked since.',
    needsReauth: 'Nothing is sent before a person gives consent again, or applies a new version of the document.',
    disabled: 'A person disconnected it: nothing is sent before `authorizeConnection`.',
  }),
  'Whether requests are sent as a connection.',
);

export const connectionFailure = entity(
  'ConnectionFailure',
  {
    at: timestamp.describe('When it happened.'),
    code: z.string().describe('A code such as `connection.needsReauth`.'),
    message: z.string().describe('A sentence for people.'),
  },
  { about: 'Why no token was had for a connection, or its credential was refused.' },
);

export const accountField = entity(
  'ConnectionAccountField',
  {
    name: z.string().describe('The name, such as `instance_url` or `sub`.'),
    value: z.string().describe('The value, as the system gave it.'),
  },
  { about: 'A field by which a system named the account of a connection.' },
);

export const connection = entity(
  'Connection',
  {
    name: z.string().describe('The name of its document.'),
    connector: z.string().describe('The connector that knows the system.'),
    auth: z.string().describe('The kind of its credential, as its document says, such as `oauth2`.'),
    grant: z.string().nullable().describe('How its tokens are obtained; null for other kinds than OAuth 2.'),
    state: connectionState.describe('Whether requests are sent.'),
    since: timestamp.nullable().describe('When it entered this state; null if nothing was noted of it yet.'),
    account: z.array(accountField).describe('The account, as far as the system named it.'),
    scope: z.string().nullable().describe('The scopes that the system granted; null if it does not say.'),
    expiresAt: timestamp
      .nullable()
      .describe('When its token ends, if it is not renewed before; null if it has none or the system does not say.'),
    lastUsedAt: timestamp.nullable().describe('When it was last used, to a minute; null if never.'),
    lastFailure: connectionFailure.nullable().describe('The last failure; null if there was none.'),
  },
  { about: 'A tenant’s credentials for one system. The credentials themselves are never given out.' },
);
export type ConnectionRow = z.infer<typeof connection>;

const name = z.string().describe('The name of the connection.');

export const listConnections = query({
  name: 'connections',
  about: 'The connections of the tenant with their states, by name.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(connection),
  failures: [],
});

export const getConnection = query({
  name: 'connection',
  about: 'One connection; null if there is none of this name.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({ name }),
  output: connection.nullable(),
  failures: [],
});

export const testConnection = command({
  name: 'testConnection',
  about:
    'Runs the test that the connector has for its connections, and says what came of it. A token that is due is renewed first; a connection that could not\nrenew its token tries at once.',
  scope: 'operate',
  cost: { weight: 50 },
  input: z.strictObject({ name }),
  result: {
    isAccepted: z.boolean().describe('True if the system answered and did not refuse the credential.'),
    status: z.int().nullable().describe('The status of its answer; null if there was none, or the system is not asked over HTTP.'),
    account: z.string().nullable().describe('The account, if the system names it.'),
    message: z.string().describe('A sentence for people.'),
    durationMs: z.int().describe('How long it took, in ms.'),
    connection: connection.describe('The connection as it is now.'),
  },
  failures: ['connection.unknown'],
});

export const authorizeConnection = command({
  name: 'authorizeConnection',
  about:
    'Begins a consent: a person opens `url` in a browser within ten minutes, and comes back to this installation. A grant that needs no person gets its token\nat once.',
  scope: 'admin',
  cost: { weight: 50 },
  input: z.strictObject({
    name,
    allowOtherAccount: z
      .boolean()
      .nullish()
      .describe('True if another account than the one before may be connected. Default: the consent of another account is refused.'),
  }),
  result: {
    url: z.string().nullable().describe('The address at which a person gives consent; null if none is needed.'),
    expiresAt: timestamp.nullable().describe('Until when the answer is taken; null if no consent is needed.'),
    connection: connection.describe('The connection as it is now.'),
  },
  failures: ['connection.unknown', 'connection.notOAuth', 'connection.noCallback', 'connection.unavailable', 'connection.needsReauth'],
});
export type AuthorizeConnectionInput = InputOf<typeof authorizeConnection>;

export const disconnectConnection = command({
  name: 'disconnectConnection',
  about:
    'Deletes the tokens of a connection, and revokes them at the system if it has an endpoint for that. Nothing is sent before it is authorised again.',
  scope: 'admin',
  cost: { weight: 50 },
  input: z.strictObject({ name }),
  result: {
    isRevoked: z
      .boolean()
      .nullable()
      .describe(
        'True if the system revoked the tokens; false if it could not be asked, so that they end by themselves; null if there was nothing to revoke.',
      ),
    connection: connection.describe('The connection as it is now.'),
  },
  failures: ['connection.unknown', 'connection.notOAuth'],
});
