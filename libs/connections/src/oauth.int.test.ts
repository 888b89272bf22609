import { generateKeyPairSync, hash, randomBytes, verify } from 'node:crypto';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { document as documentSchema } from '#libs/contracts';
import type { ConnectionDocument } from '#libs/contracts';
import { Database, DocumentSecrets, TenantDatabase, statement } from '#libs/persistence';
import { freshDatabase, startAuthorizationServer, uniqueName, waitFor } from '#libs/testing';
import type { AuthorizationServer, FreshDatabase } from '#libs/testing';
import type { AuthorizedRequest } from './authorizer.js';
import { ConnectionNeedsReauth, ConnectionUnavailable, Connections, ConsentRefused, connectionStateTable, resealTokens } from './index.js';
import type { ConnectionCondition } from './index.js';

const key = randomBytes(32);
const redirectUri = 'https://millrace.example/connections/callback';
const { signal } = new AbortController();
const get = { method: 'GET', url: 'https://crm.example/api', headers: {} };

let fresh: FreshDatabase;
let database: Database;
let server: AuthorizationServer;
let tenant: string;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'oauth test' });
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});
beforeEach(async () => {
  tenant = uniqueName('tenant');
  server = await startAuthorizationServer();
  cleanups.push(() => server.stop());
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

type Stored = Parameters<Connections['of']>[0];

/** One process more: a pool of its own, and nothing in memory. */
async function newProcess({ secretBox = new SecretBox(key), asQuery = false } = {}): Promise<Connections> {
  const own = asQuery
    ? await TenantDatabase.connect({ url: fresh.queryUrl, role: 'millrace_query', applicationName: 'oauth test' })
    : await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'oauth test' });
  const connections = new Connections({
    secrets: new DocumentSecrets(secretBox),
    secretBox,
    database: own,
    allowPrivateAddresses: true,
  });
  await connections.start();
  cleanups.push(async () => {
    await connections.close();
    await own.close();
  });
  return connections;
}

function stored(auth: object, version = 1): Stored {
  const document = documentSchema.parse({
    apiVersion: 'millrace/v1',
    kind: 'Connection',
    metadata: { tenant, name: 'crm' },
    spec: { connector: 'rest', settings: { base: 'https://crm.example/api' }, auth },
  }) as ConnectionDocument;
  return { tenant, kind: 'Connection', name: 'crm', version, document: new DocumentSecrets(new SecretBox(key)).sealed(document) };
}

const client = (): object => ({
  kind: 'oauth2',
  issuer: server.url,
  clientId: server.clientId,
  clientSecret: { value: server.clientSecret },
});
const byConsent = (version = 1): Stored =>
  stored(
    { ...client(), grant: 'authorizationCode', scopes: ['openid', 'offline_access', 'crm'], authorizeParameters: { prompt: 'consent' } },
    version,
  );
const byClient = (more: object = {}, version = 1): Stored => stored({ ...client(), grant: 'clientCredentials', ...more }, version);

async function consented(connections: Connections, connection: Stored, account?: string, allowOtherAccount = false) {
  const url = await connections.authorize(connection, { principal: 'key:k1', redirectUri, allowOtherAccount }, signal);
  return answerOf(await server.consent(url!, account));
}

function answerOf(address: string) {
  const { searchParams } = new URL(address);
  const parameter = (name: string): string | undefined => searchParams.get(name) ?? undefined;
  return { state: parameter('state'), code: parameter('code'), iss: parameter('iss'), error: parameter('error') };
}

async function connected(connections: Connections, connection = byConsent()): Promise<Stored> {
  await connections.completeConsent(await consented(connections, connection), async () => connection);
  return connection;
}

const condition = async (): Promise<ConnectionCondition | undefined> =>
  (await connectionStateTable.conditions(database, tenant)).find(({ name }) => name === 'crm');
const change = (assignments: string) =>
  database.query(
    statement(
      `oauthTest.${hash('sha256', assignments, 'hex').slice(0, 16)}`,
      `UPDATE connection_state SET ${assignments} WHERE tenant_id = $1`,
    ),
    [tenant],
  );
const expire = () => change(`expires_at = clock_timestamp() - interval '1 second', obtained_at = clock_timestamp() - interval '1 hour'`);
const age = () => change(`obtained_at = clock_timestamp() - interval '1 hour'`);
const tokenOf = ({ headers }: AuthorizedRequest): string => headers['authorization']!.replace('Bearer ', '');
const refreshed = (): number => server.granted.get('refresh_token') ?? 0;

test('a token goes into the header that the connection names, and not into another one', async () => {
  const connections = await newProcess();
  const { headers, secrets } = await connections.of(byClient({ tokenHeader: 'X-Shopify-Access-Token' })).authorize(get, signal);
  expect(Object.keys(headers)).toEqual(['x-shopify-access-token']);
  expect(await server.knows(headers['x-shopify-access-token']!)).toBe(true);
  expect(secrets).toEqual([headers['x-shopify-access-token']]);
});

describe('a connection with consent', () => {
  test('has a token that the system knows, and says which account it is', async () => {
    const connections = await newProcess();
    const connection = byConsent();
    await expect(connections.of(connection).authorize(get, signal)).rejects.toThrow(/nobody has given consent yet/);
    const given = await connections.completeConsent(await consented(connections, connection), async () => connection);
    expect(given).toEqual({ tenant, connection: 'crm', principal: 'key:k1', account: { sub: 'alice' } });
    const sent = await connections.of(connection).authorize(get, signal);
    expect(await server.knows(tokenOf(sent))).toBe(true);
    expect(sent.secrets).toEqual([tokenOf(sent)]);
    expect(await connections.of(connection).account(signal)).toEqual({ sub: 'alice' });
    expect(await condition()).toMatchObject({ state: 'connected', account: { sub: 'alice' }, lastFailureCode: null });
  });

  test('is stored sealed, each token for its own place', async () => {
    const connections = await newProcess();
    const connection = await connected(connections);
    const token = tokenOf(await connections.of(connection).authorize(get, signal));
    const [row] = await database.query<Record<string, string>>(
      statement(
        'oauthTest.row',
        'SELECT access_token, refresh_token, row_to_json(connection_state)::text AS text FROM connection_state WHERE tenant_id = $1',
      ),
      [tenant],
    );
    expect(row!['text']).not.toContain(token);
    await database.query(statement('oauthTest.swap', 'UPDATE connection_state SET access_token = refresh_token WHERE tenant_id = $1'), [
      tenant,
    ]);
    await expect((await newProcess()).of(connection).authorize(get, signal)).rejects.toThrow(/does not belong to state.accessToken/);
    expect(await resealTokens(fresh.url, new SecretBox(randomBytes(32), key))).toMatchObject({
      unreadable: [`${tenant}/Connection/crm accessToken`],
    });
    await database.query(statement('oauthTest.remove', 'DELETE FROM connection_state'));
  });

  test('renews its token before it ends, and keeps the refresh token that it got last', async () => {
    const connections = await newProcess();
    const connection = await connected(connections);
    for (let time = 1; time <= 3; time++) {
      await expire();
      const sent = await (await newProcess()).of(connection).authorize(get, signal);
      expect(await server.knows(tokenOf(sent))).toBe(true);
      expect(refreshed()).toBe(time);
    }
    expect(server.refused).toEqual([]);
  });

  test('asks once for 200 callers in several processes', async () => {
    const connection = await connected(await newProcess());
    await expire();
    const processes = await Promise.all(Array.from({ length: 8 }, () => newProcess()));
    const sent = await Promise.all(Array.from({ length: 200 }, (_, at) => processes[at % 8]!.of(connection).authorize(get, signal)));
    expect(new Set(sent.map(tokenOf)).size).toBe(1);
    expect(refreshed()).toBe(1);
    expect(server.refused).toEqual([]);
  });

  test('asks once after a token was refused to 200 callers in several processes', async () => {
    const connection = await connected(await newProcess());
    await age();
    const processes = await Promise.all(Array.from({ length: 8 }, () => newProcess()));
    const at = (index: number) => processes[index % 8]!.of(connection);
    const sent = await Promise.all(Array.from({ length: 200 }, (_, index) => at(index).authorize(get, signal)));
    const answers = await Promise.all(sent.map((request, index) => at(index).refused(request, signal)));
    expect(new Set(answers)).toEqual(new Set([true]));
    expect(refreshed()).toBe(1);
    const again = await Promise.all(sent.map((_, index) => at(index).authorize(get, signal)));
    expect(new Set(again.map(tokenOf)).size).toBe(1);
    expect(tokenOf(again[0]!)).not.toBe(tokenOf(sent[0]!));
  });

  test('does not renew a token that was obtained a moment ago and is refused all the same', async () => {
    const connections = await newProcess();
    const authorizer = connections.of(await connected(connections));
    expect(await authorizer.refused(await authorizer.authorize(get, signal), signal)).toBe(false);
    expect(refreshed()).toBe(0);
    expect(await condition()).toMatchObject({ state: 'degraded', lastFailureCode: 'connection.refused' });
  });

  test.each([
    ['the process that saw the refusal', 0],
    ['another one', 1],
  ])('is connected again when its credential is taken, by %s', async (_, at) => {
    const processes = [await newProcess(), await newProcess()];
    const connection = await connected(processes[0]!);
    const [one] = processes.map((each) => each.of(connection));
    one!.accepted();
    expect(await one!.refused(await one!.authorize(get, signal), signal)).toBe(false);
    processes[at]!.of(connection).accepted();
    await waitFor(async () => (await condition())?.state === 'connected', { what: 'the connection to be connected again' });
  });

  test('needs consent again once its grant is gone, asks no more, and goes on after consent in every process', async () => {
    const [one, other] = [await newProcess(), await newProcess()];
    const connection = await connected(one);
    await other.of(connection).authorize(get, signal);
    await server.revokeAll();
    await expire();
    const later = await newProcess();
    await expect(later.of(connection).authorize(get, signal)).rejects.toThrow(ConnectionNeedsReauth);
    await expect(later.of(connection).authorize(get, signal)).rejects.toThrow(/needs consent again: the system refused to renew its token/);
    await expect(later.of(connection).authorize(get, signal)).rejects.toMatchObject({ code: 'connection.needsReauth', outcome: 'retry' });
    expect(server.refused).toEqual(['invalid_grant']);
    expect(await condition()).toMatchObject({ state: 'needsReauth', lastFailureCode: 'connection.needsReauth' });
    const changes: unknown[] = [];
    other.onChange((changed) => changes.push(changed));
    await connected(one, connection);
    await waitFor(() => changes.length > 0, { what: 'the notice of the change' });
    expect(changes).toContainEqual({ tenant, name: 'crm' });
    const tokens = await Promise.all([one, other, later].map((each) => each.of(connection).authorize(get, signal)));
    expect(new Set(tokens.map(tokenOf)).size).toBe(1);
    expect(await server.knows(tokenOf(tokens[0]!))).toBe(true);
    expect(await condition()).toMatchObject({ state: 'connected' });
  });

  test('uses its token until it ends while the token endpoint is away, and says so', async () => {
    const connections = await newProcess();
    const connection = await connected(connections);
    await change(`expires_at = clock_timestamp() + interval '20 seconds', obtained_at = clock_timestamp() - interval '1 hour'`);
    server.fail(503);
    const later = await newProcess();
    const sent = await later.of(connection).authorize(get, signal);
    expect(await server.knows(tokenOf(sent))).toBe(true);
    expect(await condition()).toMatchObject({ state: 'degraded', lastFailureCode: 'connection.unavailable' });
    await expire();
    const failure = await (
      await newProcess()
    )
      .of(connection)
      .authorize(get, signal)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ConnectionUnavailable);
    expect((failure as ConnectionUnavailable).retryAfterMs).toBeGreaterThan(0);
    server.fail(undefined);
    await change('retry_at = NULL');
    await later.of(connection).authorize(get, signal);
    expect(await condition()).toMatchObject({ state: 'connected' });
    expect(refreshed()).toBe(1);
  });

  test('is not asked for more often than its back-off allows', async () => {
    const connection = await connected(await newProcess());
    await expire();
    server.fail(500);
    const later = await newProcess();
    await expect(later.of(connection).authorize(get, signal)).rejects.toThrow(ConnectionUnavailable);
    server.fail(undefined);
    await expect(later.of(connection).authorize(get, signal)).rejects.toThrow(/the last request for one failed/);
    expect(refreshed()).toBe(0);
  });

  test('tells that the answer to a refresh was lost, if its grant is gone after a crash', async () => {
    const connection = await connected(await newProcess());
    await expire();
    await change(`refresh_started_at = '2026-11-30T00:00:00Z'`);
    await server.revokeAll();
    const failure = (await newProcess()).of(connection).authorize(get, signal);
    await expect(failure).rejects.toThrow(/the answer to a refresh at 2026-11-30T00:00:00.000Z was lost/);
  });

  test('whose caller gives up goes on with its refresh', async () => {
    const connection = await connected(await newProcess());
    await expire();
    const later = await newProcess();
    const stop = new AbortController();
    const asked = later.of(connection).authorize(get, stop.signal);
    stop.abort(new Error('shutting down'));
    await expect(asked).rejects.toThrow('shutting down');
    await later.of(connection).authorize(get, signal);
    expect(refreshed()).toBe(1);
  });

  test('is renewed once a day if nobody uses it, by one process', async () => {
    const connection = await connected(await newProcess());
    const processes = await Promise.all([newProcess(), newProcess(), newProcess()]);
    await Promise.all(processes.map((each) => each.renewIdle(() => connection)));
    expect(refreshed()).toBe(0);
    await change(`obtained_at = clock_timestamp() - interval '25 hours'`);
    await Promise.all(processes.map((each) => each.renewIdle(() => connection)));
    expect(refreshed()).toBe(1);
  });

  test('has tokens that are sealed again after a rotation of the key', async () => {
    const connection = await connected(await newProcess());
    const newKey = randomBytes(32);
    expect(await resealTokens(fresh.url, new SecretBox(newKey, key))).toMatchObject({ unreadable: [] });
    const [row] = await database.query<{ text: string }>(
      statement('oauthTest.sealed', 'SELECT access_token || refresh_token AS text FROM connection_state WHERE tenant_id = $1'),
      [tenant],
    );
    expect(row!.text).not.toContain(`.${/^v2\.(\w+)\./.exec(JSON.stringify(connection.document).match(/v2\.\w+\./)![0])![1]}.`);
    const renewed = await newProcess({ secretBox: new SecretBox(newKey, key) });
    await expire();
    expect(await server.knows(tokenOf(await renewed.of(connection).authorize(get, signal)))).toBe(true);
    await resealTokens(fresh.url, new SecretBox(key, newKey));
  });

  test('that is disconnected revokes its tokens at the system, and sends nothing before it is authorised again', async () => {
    const [one, other] = [await newProcess(), await newProcess()];
    const connection = await connected(one);
    const token = tokenOf(await other.of(connection).authorize(get, signal));
    const changes: unknown[] = [];
    other.onChange((changed) => changes.push(changed));
    expect(await one.disconnect(connection)).toBe(true);
    expect(await server.knows(token)).toBe(false);
    await waitFor(() => changes.length > 0, { what: 'the notice of the change' });
    await expect(other.of(connection).authorize(get, signal)).rejects.toThrow(/it was disconnected/);
    expect(await condition()).toMatchObject({ state: 'disabled', account: null });
    await connected(one, connection);
    await other.of(connection).authorize(get, signal);
  });
});

describe('the answer of a consent', () => {
  const complete = (connections: Connections, answer: ReturnType<typeof answerOf>, connection: Stored | undefined) =>
    connections.completeConsent(answer, async () => connection);
  const refusal = async (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'taken',
      (error: unknown) => (error instanceof ConsentRefused ? error.reason : String(error)),
    );

  test('is taken by the role that row-level security binds', async () => {
    const connections = await newProcess({ asQuery: true });
    await connected(connections);
    expect(await condition()).toMatchObject({ state: 'connected' });
  });

  test('is taken once, also by two processes at the same time', async () => {
    const connections = await newProcess();
    const connection = byConsent();
    const answer = await consented(connections, connection);
    const found = await Promise.all([
      refusal(complete(connections, answer, connection)),
      refusal(complete(await newProcess(), answer, connection)),
    ]);
    expect(found.toSorted()).toEqual(['taken', 'unknown']);
    expect(await refusal(complete(connections, answer, connection))).toBe('unknown');
  });

  test.each([
    ['without a state', { state: undefined }, 'unknown'],
    ['with a state that nobody asked for', { state: `acme.${'x'.repeat(43)}` }, 'unknown'],
    ['with the tenant of somebody else', { state: `other.${'x'.repeat(43)}` }, 'unknown'],
    ['from another issuer', { iss: 'https://evil.example' }, 'issuer'],
    ['of a person who refused', { code: undefined, error: 'access_denied' }, 'denied'],
    ['without a code', { code: undefined }, 'malformed'],
    ['with a code that the system does not know', { code: 'made-up' }, 'refused'],
  ])('%s is refused', async (_, changed, reason) => {
    const connections = await newProcess();
    const connection = byConsent();
    const answer = await consented(connections, connection);
    expect(await refusal(complete(connections, { ...answer, ...changed }, connection))).toBe(reason);
    expect(server.granted.get('authorization_code') ?? 0).toBe(0);
    expect((await condition())?.state ?? 'unauthorised').toBe('unauthorised');
  });

  test('that names another tenant in its state is refused, because it belongs to the one that asked', async () => {
    const connections = await newProcess();
    const connection = byConsent();
    const answer = await consented(connections, connection);
    const state = answer.state!.replace(tenant, 'other');
    expect(await refusal(complete(connections, { ...answer, state }, connection))).toBe('unknown');
  });

  test('that comes late is refused', async () => {
    const connections = await newProcess();
    const connection = byConsent();
    const answer = await consented(connections, connection);
    await database.query(
      statement('oauthTest.late', `UPDATE connection_consent SET expires_at = now() - interval '1 second' WHERE tenant_id = $1`),
      [tenant],
    );
    expect(await refusal(complete(connections, answer, connection))).toBe('late');
  });

  test('is refused once the connection was removed, or has another client', async () => {
    const connections = await newProcess();
    const connection = byConsent();
    expect(await refusal(complete(connections, await consented(connections, connection), undefined))).toBe('changed');
    const answer = await consented(connections, connection);
    const other = stored({ ...client(), clientId: 'another', grant: 'authorizationCode' }, 2);
    expect(await refusal(complete(connections, answer, other))).toBe('changed');
  });

  test('for another account is refused unless that is allowed, and the account before stays connected', async () => {
    const connections = await newProcess();
    const connection = await connected(connections);
    const answer = await consented(connections, connection, 'bob');
    expect(await refusal(complete(connections, answer, connection))).toBe('otherAccount');
    expect(await condition()).toMatchObject({ state: 'connected', account: { sub: 'alice' } });
    expect(await refusal(complete(connections, await consented(connections, connection, 'bob', true), connection))).toBe('taken');
    expect(await condition()).toMatchObject({ account: { sub: 'bob' } });
  });

  test('carries no secret into the address of the consent page but the hash of the verifier', async () => {
    const connections = await newProcess();
    const url = await connections.authorize(byConsent(), { principal: 'key:k1', redirectUri, allowOtherAccount: false }, signal);
    const { searchParams } = new URL(url!);
    expect(Object.fromEntries(searchParams)).toMatchObject({
      client_id: server.clientId,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: 'openid offline_access crm',
      prompt: 'consent',
      code_challenge_method: 'S256',
    });
    expect(url).not.toContain(server.clientSecret);
    expect(url).not.toContain('code_verifier');
  });
});

describe('a connection with client credentials', () => {
  test('gets its token at its first use, and a new one when it ends', async () => {
    const connections = await newProcess();
    const connection = byClient();
    const first = await connections.of(connection).authorize(get, signal);
    expect((await server.knows(tokenOf(first))) || tokenOf(first).length > 20).toBe(true);
    await connections.of(connection).authorize(get, signal);
    expect(server.granted.get('client_credentials')).toBe(1);
    await expire();
    await (await newProcess()).of(connection).authorize(get, signal);
    expect(server.granted.get('client_credentials')).toBe(2);
  });

  test('whose client is refused asks no more until the document has a new version', async () => {
    const connections = await newProcess();
    const wrong = byClient({ clientSecret: { value: 'wrong-secret-0123456789' } });
    const refused = /^The connection crm has no token, because its credentials are refused: .* `millrace connections test crm`\.$/;
    await expect(connections.of(wrong).authorize(get, signal)).rejects.toThrow(/invalid_client/);
    const again = connections.of(wrong).authorize(get, signal);
    await expect(again).rejects.toThrow(ConnectionNeedsReauth);
    await expect(again).rejects.toThrow(refused);
    expect(server.refused).toEqual(['invalid_client']);
    await connections.of(byClient({}, 2)).authorize(get, signal);
    expect(await condition()).toMatchObject({ state: 'connected' });
  });

  test('is authorised without a person', async () => {
    const connections = await newProcess();
    expect(await connections.authorize(byClient(), { principal: 'key:k1', redirectUri, allowOtherAccount: false }, signal)).toBeNull();
    expect(await condition()).toMatchObject({ state: 'connected' });
  });
});

describe('a vendor that deviates', () => {
  async function vendor(answer: RequestListener): Promise<string> {
    const odd = createServer(answer);
    await new Promise<void>((listening) => odd.listen(0, '127.0.0.1', listening));
    cleanups.push(async () => {
      odd.closeAllConnections();
      odd.close();
    });
    return `http://127.0.0.1:${(odd.address() as AddressInfo).port}`;
  }
  const of = (base: string, more: object = {}): Stored =>
    stored({
      kind: 'oauth2',
      grant: 'clientCredentials',
      clientId: 'c',
      clientSecret: { value: 'secret-0123456789' },
      endpoints: { token: `${base}/token` },
      ...more,
    });

  test.each([
    ['names no type (Shopify)', {}, 'application/json', '{"access_token":"t-12345678","expires_in":3600}'],
    ['encodes a form (GitHub)', {}, 'application/x-www-form-urlencoded', 'access_token=t-12345678&token_type=bearer&expires_in=3600'],
    [
      'names a type of its own (Slack)',
      { tokenResponse: { tokenType: 'bearer' } },
      'application/json',
      '{"ok":true,"access_token":"t-12345678","token_type":"bot"}',
    ],
    ['names no lifetime (Salesforce)', {}, 'application/json', '{"access_token":"t-12345678","token_type":"Bearer"}'],
  ])('and %s gives a token', async (_, more, contentType, body) => {
    const base = await vendor((_incoming, outgoing) => outgoing.writeHead(200, { 'content-type': contentType }).end(body));
    const sent = await (await newProcess()).of(of(base, more)).authorize(get, signal);
    expect(tokenOf(sent)).toBe('t-12345678');
  });

  test.each([
    [
      'says in a 200 that it failed (Slack)',
      { tokenResponse: { failedWhen: { field: 'ok', equals: false }, invalidGrant: ['token_revoked'] } },
      200,
      '{"ok":false,"error":"token_revoked"}',
      ConnectionNeedsReauth,
    ],
    ['answers 200 with an error (GitHub)', {}, 200, '{"error":"invalid_client"}', ConnectionNeedsReauth],
    ['answers 401 without a word', {}, 401, '', ConnectionNeedsReauth],
    ['limits the rate', {}, 429, '{"error":"slow_down"}', ConnectionUnavailable],
    ['answers a page', {}, 200, '<html>', ConnectionUnavailable],
    ['answers more than anybody needs', {}, 200, `{"access_token":"${'x'.repeat(300_000)}"}`, ConnectionUnavailable],
  ] as const)('and %s gives none', async (_, more, status, body, failure) => {
    const base = await vendor((_incoming, outgoing) => outgoing.writeHead(status, { 'content-type': 'application/json' }).end(body));
    await expect((await newProcess()).of(of(base, more)).authorize(get, signal)).rejects.toThrow(failure);
  });

  test('and repeats the secret of the client is not believed to keep it', async () => {
    const base = await vendor((incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () =>
        outgoing
          .writeHead(400, { 'content-type': 'application/json' })
          .end(JSON.stringify({ error: 'invalid_client', error_description: Buffer.concat(chunks).toString() })),
      );
    });
    const failure = await (
      await newProcess()
    )
      .of(of(base))
      .authorize(get, signal)
      .catch((error: unknown) => error as Error);
    expect((failure as Error).message).toContain('invalid_client');
    expect((failure as Error).message).not.toContain('secret-0123456789');
    expect(JSON.stringify(await condition())).not.toContain('secret-0123456789');
  });

  test('says which account it is, as far as the document keeps it', async () => {
    const body = { access_token: 't-12345678', token_type: 'Bearer', instance_url: 'https://na1.example', team: { id: 'T1' }, secret: 's' };
    const base = await vendor((_incoming, outgoing) =>
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    );
    const connections = await newProcess();
    const connection = of(base, { keep: ['instance_url', 'team.id', 'absent'] });
    expect(await connections.of(connection).account(signal)).toEqual({ instance_url: 'https://na1.example', 'team.id': 'T1' });
    expect(await condition()).toMatchObject({ account: { instance_url: 'https://na1.example', 'team.id': 'T1' } });
  });

  test.each(['RS256', 'PS256', 'ES256'] as const)('takes a statement that is signed with %s as its grant', async (algorithm) => {
    const { privateKey, publicKey } =
      algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
    let form = new URLSearchParams();
    const base = await vendor((incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        form = new URLSearchParams(Buffer.concat(chunks).toString());
        outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"t-12345678","token_type":"Bearer"}');
      });
    });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const connection = stored({
      kind: 'oauth2',
      grant: 'jwtBearer',
      clientId: 'c',
      endpoints: { token: `${base}/token` },
      scopes: ['api', 'web'],
      jwt: { privateKey: { value: pem }, algorithm, keyId: 'k1', subject: 'user@example.org' },
    });
    await (await newProcess()).of(connection).authorize(get, signal);
    expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    const [header, claims, signature] = form.get('assertion')!.split('.');
    const read = (part: string): Record<string, unknown> =>
      JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
    expect(read(header!)).toEqual({ alg: algorithm, typ: 'JWT', kid: 'k1' });
    expect(read(claims!)).toMatchObject({ iss: 'c', sub: 'user@example.org', aud: `${base}/token`, scope: 'api web' });
    const options =
      algorithm === 'ES256' ? { dsaEncoding: 'ieee-p1363' as const } : algorithm === 'PS256' ? { padding: 6, saltLength: 32 } : {};
    expect(verify('sha256', Buffer.from(`${header}.${claims}`), { key: publicKey, ...options }, Buffer.from(signature!, 'base64url'))).toBe(
      true,
    );
  });
});

describe('a connection whose grant is a signed statement, at a real token server', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { privateKey: foreign } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const taken: Record<string, unknown>[] = [];
  const takesAssertion = (assertion: string): boolean => {
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    const trusted = { key: publicKey, dsaEncoding: 'ieee-p1363' as const };
    if (!verify('sha256', Buffer.from(`${header}.${claims}`), trusted, Buffer.from(signature, 'base64url'))) return false;
    taken.push(JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>);
    return true;
  };
  const bySignature = (signing = privateKey, version = 1): Stored =>
    stored(
      {
        ...client(),
        grant: 'jwtBearer',
        clientAuthentication: 'post',
        jwt: {
          privateKey: { value: signing.export({ type: 'pkcs8', format: 'pem' }).toString() },
          algorithm: 'ES256',
          subject: 'user@example.org',
        },
      },
      version,
    );
  beforeEach(async () => {
    taken.length = 0;
    server = await startAuthorizationServer({ takesAssertion });
    cleanups.push(() => server.stop());
  });

  test('gets tokens that the server knows, each for a statement of its own', async () => {
    const connections = await newProcess();
    const first = await connections.of(bySignature()).authorize(get, signal);
    expect(await server.knows(tokenOf(first))).toBe(true);
    await connections.of(bySignature()).authorize(get, signal);
    expect(taken).toMatchObject([{ iss: server.clientId, sub: 'user@example.org', aud: `${server.url}/token` }]);
    await expire();
    const second = await (await newProcess()).of(bySignature()).authorize(get, signal);
    expect(await server.knows(tokenOf(second))).toBe(true);
    expect(tokenOf(second)).not.toBe(tokenOf(first));
    expect(new Set(taken.map(({ jti }) => jti)).size).toBe(2);
  });

  test('says that its credentials are refused where the server does not take its key, and works with another version', async () => {
    const connections = await newProcess();
    const refused = connections.of(bySignature(foreign)).authorize(get, signal);
    await expect(refused).rejects.toThrow(/credentials are refused: the token endpoint answered invalid_grant/);
    expect(server.refused).toEqual(['invalid_grant']);
    await connections.of(bySignature(privateKey, 2)).authorize(get, signal);
    expect(await condition()).toMatchObject({ state: 'connected' });
  });
});
