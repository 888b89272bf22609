import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

/** A connection to a system, as the server tells it; {@link Connection} is the one to the server. */
interface SystemConnection {
  name: string;
  connector: string;
  auth: string;
  grant: string | null;
  state: string;
  since: string | null;
  account: { name: string; value: string }[];
  expiresAt: string | null;
  lastUsedAt: string | null;
  lastFailure: { at: string; code: string; message: string } | null;
}

const fields = 'name connector auth grant state since account { name value } scope expiresAt lastUsedAt lastFailure { at code message }';
const mutationOf = (name: string, input: string, success: string, selection: string): string =>
  `mutation One($input: ${input}!) { result: ${name}(input: $input) { __typename ... on ${success} { ${selection} connection { ${fields} } } ${refusals} } }`;

/** `millrace connections`: each with its state. */
export async function connections(connection: Connection, output: Output): Promise<void> {
  const asked = await ask<{ connections: SystemConnection[] }>(connection, `{ connections { ${fields} } }`);
  for (const each of asked.connections) output.result(each, lineOf(each));
}

/** `millrace connections test`: sends a request as the connection. @throws CliFailure if the system does not take the credential */
export async function testConnection(connection: Connection, name: string, output: Output): Promise<void> {
  type Tested = {
    __typename: 'TestConnectionSuccess';
    isAccepted: boolean;
    message: string;
    durationMs: number;
    connection: SystemConnection;
  };
  const mutation = mutationOf('testConnection', 'TestConnectionInput', 'TestConnectionSuccess', 'isAccepted status message durationMs');
  const { result } = await ask<{ result: Tested | Refusal }>(connection, mutation, { input: { name } });
  const tested = accepted(connection, result);
  const line = `${name}: ${tested.message} (${tested.durationMs} ms)`;
  if (!tested.isAccepted) throw new CliFailure(line, 'refused');
  output.result(tested, `${line}; it is ${wordOf(tested.connection.state)}`);
}

/** `millrace connections authorize`: prints the address at which a person gives consent. */
export async function authorizeConnection(
  connection: Connection,
  { name, allowOtherAccount }: { name: string; allowOtherAccount: boolean },
  output: Output,
): Promise<void> {
  type Begun = { __typename: 'AuthorizeConnectionSuccess'; url: string | null; expiresAt: string | null; connection: SystemConnection };
  const mutation = mutationOf('authorizeConnection', 'AuthorizeConnectionInput', 'AuthorizeConnectionSuccess', 'url expiresAt');
  const { result } = await ask<{ result: Begun | Refusal }>(connection, mutation, { input: { name, allowOtherAccount } });
  const { url, expiresAt, connection: now } = accepted(connection, result);
  if (url === null) {
    output.result(now, lineOf(now));
    return;
  }
  output.result({ name, url, expiresAt }, url);
  output.note(
    `Open it in a browser and give consent before ${expiresAt}. millrace connections list then says whether ${name} is connected.`,
  );
}

/** `millrace connections disconnect`: deletes and revokes the tokens. */
export async function disconnectConnection(connection: Connection, name: string, output: Output): Promise<void> {
  type Disconnected = { __typename: 'DisconnectConnectionSuccess'; isRevoked: boolean | null; connection: SystemConnection };
  const mutation = mutationOf('disconnectConnection', 'DisconnectConnectionInput', 'DisconnectConnectionSuccess', 'isRevoked');
  const { result } = await ask<{ result: Disconnected | Refusal }>(connection, mutation, { input: { name } });
  const disconnected = accepted(connection, result);
  const revoked = {
    true: 'the system revoked its tokens',
    false: 'the system could not be asked to revoke its tokens: revoke the access in its settings',
    null: 'there was nothing that the system could revoke',
  }[String(disconnected.isRevoked) as 'true' | 'false' | 'null'];
  output.result(disconnected, `${name} is disconnected; ${revoked}.`);
}

function lineOf({ name, connector, auth, grant, state, account, expiresAt, lastUsedAt, lastFailure }: SystemConnection): string {
  return [
    name,
    wordOf(state),
    connector,
    grant === null ? auth : `${auth} ${grant}`,
    ...account.map((field) => `${field.name}=${field.value}`),
    ...(expiresAt === null ? [] : [`token until ${expiresAt}`]),
    ...(lastUsedAt === null ? [] : [`used ${lastUsedAt}`]),
    ...(lastFailure === null ? [] : [`failed ${lastFailure.at}: ${lastFailure.message}`]),
  ].join('  ');
}

/** The states are written as in documents and metrics. */
function wordOf(state: string): string {
  return state === 'NEEDS_REAUTH' ? 'needsReauth' : state.toLowerCase();
}
