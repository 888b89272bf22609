import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Scope } from '#libs/contracts';
import { Database, statement } from '#libs/persistence';
import { startAuthorizationServer, uniqueName } from '#libs/testing';
import type { AuthorizationServer } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let database: Database;
let login: AuthorizationServer;
let tenant: string;
let crm: Server;
/** The statuses with which the system answers next; then 200. */
const answers: number[] = [];
/** The credentials that it saw. */
const seen: (string | undefined)[] = [];

beforeAll(async () => {
  server = await QueryServer.start();
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
  login = await startAuthorizationServer();
  crm = createServer((incoming, outgoing) => {
    seen.push(incoming.headers.authorization);
    outgoing.writeHead(answers.shift() ?? 200).end();
  });
  await new Promise<void>((listening) => crm.listen(0, '127.0.0.1', listening));
});
afterAll(async () => {
  crm.closeAllConnections();
  crm.close();
  await login.stop();
  await database.close();
  await server.stop();
});
beforeEach(async () => {
  tenant = uniqueName('tenant');
  await apply(tenant, { kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } });
  answers.splice(0);
  seen.splice(0);
});

async function apply(of: string, document: object): Promise<void> {
  const mutation = `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename ... on ValidationError { violations { path message } } } }`;
  const applied = await server.data({ operatorIn: of }, mutation, { documents: [{ apiVersion: 'millrace/v1', ...document }] });
  expect(applied).toMatchObject({ applyDocuments: { __typename: 'ApplyDocumentsSuccess' } });
}

const crmBase = () => `http://127.0.0.1:${(crm.address() as AddressInfo).port}/api`;
const connectTo = (connector: string, settings: object, auth: object, of = tenant): Promise<void> =>
  apply(of, { kind: 'Connection', metadata: { tenant: of, name: 'crm' }, spec: { connector, settings, auth } });
const connect = (name: string, auth: object, of = tenant): Promise<void> =>
  apply(of, { kind: 'Connection', metadata: { tenant: of, name }, spec: { connector: 'rest', settings: { base: crmBase() }, auth } });
const byConsent = () => ({
  kind: 'oauth2',
  grant: 'authorizationCode',
  issuer: login.url,
  clientId: login.clientId,
  clientSecret: { value: login.clientSecret },
  scopes: ['openid', 'offline_access'],
});

const fields = 'name connector auth grant state account { name value } scope expiresAt lastUsedAt lastFailure { code message }';
type Row = { name: string; state: string } & Record<string, unknown>;
const list = async (of = tenant) =>
  (await server.data<{ connections: Row[] }>({ operatorIn: of }, `{ connections { ${fields} } }`)).connections;

type As = Parameters<QueryServer['data']>[0];
type Result = { __typename: string } & Record<string, unknown>;
async function command(name: string, selection: string, input: object, as: As = { operatorIn: tenant }): Promise<Result> {
  const type = name[0]!.toUpperCase() + name.slice(1);
  const mutation = `mutation ($input: ${type}Input!) { result: ${name}(input: $input) { __typename ... on ${type}Success { ${selection} }
    ... on ValidationError { code violations { path message } } ... on NotFoundError { code missing path } ... on ForbiddenError { code } ... on UnavailableError { code message } } }`;
  return (await server.data<{ result: Result }>(as, mutation, { input })).result;
}
const authorize = (input: object, as?: As) => command('authorizeConnection', 'url expiresAt connection { state }', input, as);
const testing = (input: object, as?: As) =>
  command('testConnection', 'isAccepted status account message connection { state lastFailure { code } }', input, as);
const disconnect = (input: object, as?: As) => command('disconnectConnection', 'isRevoked connection { state }', input, as);

/** The person comes back: to this server instead of the address that is registered. */
async function comeBack(address: string): Promise<{ status: number; headers: Headers; page: string }> {
  const { pathname, search } = new URL(address);
  const response = await fetch(`${server.url}${pathname}${search}`);
  return { status: response.status, headers: response.headers, page: await response.text() };
}
const consent = async (name: string, account?: string): Promise<string> =>
  login.consent((await authorize({ name }))['url'] as string, account);

describe('a connection is authorised by a person', () => {
  test('who comes back to a page that says so, and nothing of the answer stands on it', async () => {
    await connect('crm', byConsent());
    expect(await list()).toMatchObject([
      { name: 'crm', connector: 'rest', auth: 'oauth2', grant: 'authorizationCode', state: 'UNAUTHORISED' },
    ]);
    const back = await consent('crm');
    const { status, headers, page } = await comeBack(back);
    expect(status).toBe(200);
    expect(page).toContain('Connected');
    expect(page).toContain(tenant);
    expect(page).toContain('alice');
    for (const value of new URL(back).searchParams.values()) expect(page).not.toContain(value);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('content-security-policy')).toContain(`default-src 'none'`);
    expect(await list()).toMatchObject([{ state: 'CONNECTED', account: [{ name: 'sub', value: 'alice' }], lastFailure: null }]);
    const audited = await database.query(
      statement(
        'test.audited',
        `SELECT actor, action, target, detail FROM audit_entry WHERE tenant_id = $1 AND action = 'authorizeConnection' ORDER BY at`,
      ),
      [tenant],
    );
    expect(audited).toMatchObject([
      { actor: 'operator', target: 'Connection/crm', detail: { allowOtherAccount: false } },
      { actor: 'operator', target: 'Connection/crm', detail: { consent: 'given', account: { sub: 'alice' } } },
    ]);
    expect(JSON.stringify(audited)).not.toContain(login.clientSecret);
  });

  test('and the answer is taken once', async () => {
    await connect('crm', byConsent());
    const back = await consent('crm');
    expect((await comeBack(back)).status).toBe(200);
    const again = await comeBack(back);
    expect(again.status).toBe(400);
    expect(again.page).toContain('Not connected');
    expect(again.page).toContain('it is not known here');
  });

  test.each([
    ['without anything', ''],
    ['with a state twice', '?state=a.b&state=a.b&code=c'],
    ['with a state of markup', `?state=${encodeURIComponent('<script>alert(1)</script>.x')}&code=c`],
    ['with an error of markup', `?error=${encodeURIComponent('<script>alert(1)</script>')}&state=acme.x`],
  ])('and one %s is refused', async (_, search) => {
    const { status, page } = await comeBack(`https://millrace.example/connections/callback${search}`);
    expect(status).toBe(400);
    expect(page).not.toContain('<script>');
  });

  test('who refused reads that nothing has changed', async () => {
    await connect('crm', byConsent());
    const url = new URL(await consent('crm'));
    url.searchParams.delete('code');
    url.searchParams.set('error', 'access_denied');
    const { status, page } = await comeBack(url.href);
    expect(status).toBe(400);
    expect(page).toContain('the consent was not given (access_denied)');
    expect(page).toContain('Nothing of the connection');
  });

  test('and is disconnected again, with its tokens revoked at the system', async () => {
    await connect('crm', byConsent());
    await comeBack(await consent('crm'));
    await testing({ name: 'crm' });
    expect(await disconnect({ name: 'crm' })).toMatchObject({ isRevoked: true, connection: { state: 'DISABLED' } });
    expect(await login.knows(seen[0]!.replace('Bearer ', ''))).toBe(false);
    expect(await testing({ name: 'crm' })).toMatchObject({
      isAccepted: false,
      status: null,
      message: expect.stringContaining('it was disconnected') as string,
    });
  });

  test('and needs a key of the scope that each operation names', async () => {
    await connect('crm', byConsent());
    const keyOf = (...scopes: Scope[]) => server.key(tenant, ...scopes);
    expect(await authorize({ name: 'crm' }, await keyOf('read', 'operate'))).toMatchObject({ __typename: 'ForbiddenError' });
    expect(await disconnect({ name: 'crm' }, await keyOf('read', 'operate'))).toMatchObject({ __typename: 'ForbiddenError' });
    expect(await testing({ name: 'crm' }, await keyOf('read'))).toMatchObject({ __typename: 'ForbiddenError' });
    expect(await authorize({ name: 'crm' }, await keyOf('admin'))).toMatchObject({ __typename: 'AuthorizeConnectionSuccess' });
  });
});

describe('a test of a connection', () => {
  test('sends its credential, and says what came of it', async () => {
    await connect('crm', { kind: 'bearer', token: { value: 'token-12345678' } });
    expect(await testing({ name: 'crm' })).toMatchObject({ isAccepted: true, status: 200, connection: { state: 'CONNECTED' } });
    expect(seen).toEqual(['Bearer token-12345678']);
  });

  test('finds a refused credential, and finds it mended', async () => {
    await connect('crm', { kind: 'bearer', token: { value: 'token-12345678' } });
    answers.push(401);
    expect(await testing({ name: 'crm' })).toMatchObject({
      isAccepted: false,
      status: 401,
      message: 'The system refused the credential with status 401',
      connection: { state: 'DEGRADED', lastFailure: { code: 'connection.refused' } },
    });
    answers.push(404);
    expect(await testing({ name: 'crm' })).toMatchObject({ isAccepted: true, status: 404, connection: { state: 'CONNECTED' } });
  });

  test('finds that the credential may not do what it is asked to', async () => {
    await connect('crm', { kind: 'bearer', token: { value: 'token-12345678' } });
    answers.push(403);
    expect(await testing({ name: 'crm' })).toMatchObject({ isAccepted: false, status: 403 });
  });

  test('logs in to a database', async () => {
    const { hostname, port, pathname, username, password } = new URL(server.databaseUrl);
    const auth = { kind: 'basic', username, password: { value: password } };
    const fixed = { host: hostname, port: Number(port), tls: 'none', statements: { one: { operation: 'read', sql: 'SELECT 1 AS one' } } };
    const tested = async (name: string): Promise<Result> => {
      await connectTo('postgres', { ...fixed, database: name }, auth);
      return testing({ name: 'crm' });
    };
    expect(await tested('postgres')).toMatchObject({ isAccepted: true, status: null, account: username });
    expect(await tested('nowhere')).toMatchObject({ isAccepted: false, message: expect.stringContaining('nowhere') });
    const own = decodeURIComponent(pathname.slice(1));
    expect(await tested(own)).toMatchObject({ isAccepted: false, message: expect.stringContaining('Millrace keeps its own data') });
  });

  test('uses the request that a connector of the tenant names, or says that it names none', async () => {
    const spec = {
      summary: 'Help desk',
      base: '{settings.base}',
      hosts: ['127.0.0.1'],
      settings: { type: 'object', properties: { base: { type: 'string' } } },
      auth: [{ kind: 'bearer' }],
      operations: { ping: { summary: 'Ping', effect: 'read', input: {}, output: {}, request: { path: '/ping' } } },
    };
    const document = { kind: 'Connector', metadata: { tenant, name: 'helpdesk' } };
    await apply(tenant, { ...document, spec });
    await connectTo('helpdesk', { base: crmBase() }, { kind: 'bearer', token: { value: 'token-12345678' } });
    const untested = await testing({ name: 'crm' });
    expect(untested).toMatchObject({ isAccepted: false, message: expect.stringContaining('`spec.health`') });
    expect(seen).toEqual([]);
    await apply(tenant, { ...document, spec: { ...spec, health: { request: { path: '/ping' }, account: '"acme"' } } });
    expect(await testing({ name: 'crm' })).toMatchObject({ isAccepted: true, status: 200, account: 'acme' });
    expect(seen).toEqual(['Bearer token-12345678']);
  });

  test('obtains a token that needs no consent', async () => {
    await connect('crm', { ...byConsent(), grant: 'clientCredentials', scopes: [] });
    expect(await testing({ name: 'crm' })).toMatchObject({ isAccepted: true, connection: { state: 'CONNECTED' } });
    expect(await authorize({ name: 'crm' })).toMatchObject({ url: null, expiresAt: null, connection: { state: 'CONNECTED' } });
  });
});

describe('nothing of a connection crosses a tenant', () => {
  test('neither its state, nor its commands, nor the answer of its consent', async () => {
    await connect('crm', byConsent());
    const back = new URL(await consent('crm'));
    const other = uniqueName('tenant');
    await apply(other, { kind: 'Tenant', metadata: { name: other }, spec: { displayName: 'Other' } });
    expect(await list(other)).toEqual([]);
    const missing = { __typename: 'NotFoundError', code: 'connection.unknown', missing: ['crm'], path: ['input', 'name'] };
    expect(await testing({ name: 'crm' }, { operatorIn: other })).toEqual(missing);
    expect(await authorize({ name: 'crm' }, { operatorIn: other })).toEqual(missing);
    expect(await disconnect({ name: 'crm' }, { operatorIn: other })).toEqual(missing);
    await connect('crm', byConsent(), other);
    back.searchParams.set('state', back.searchParams.get('state')!.replace(tenant, other));
    expect((await comeBack(back.href)).status).toBe(400);
    expect(await list(other)).toMatchObject([{ state: 'UNAUTHORISED' }]);
  });
});

test('a connection whose credential stands in its document cannot be authorised, and says what to do instead', async () => {
  await connect('crm', { kind: 'bearer', token: { value: 'token-12345678' } });
  const message = 'has a credential of the kind bearer, which stands in its document: apply the document to change it';
  const refused = { __typename: 'ValidationError', code: 'connection.notOAuth', violations: [{ path: ['input', 'name'], message }] };
  expect(await authorize({ name: 'crm' })).toEqual(refused);
  expect(await disconnect({ name: 'crm' })).toEqual(refused);
});
