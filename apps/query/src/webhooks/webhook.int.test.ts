import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startStandIn, vendorStandIns } from '#libs/connectors';
import type { StandInHandler, StandInRequest, StandInResponse } from '#libs/connectors';
import type { SourceDocument } from '#libs/contracts';
import { Database, DocumentSecrets, statement } from '#libs/persistence';
import { uniqueName } from '#libs/testing';
import { DocumentService } from '../documents/document.service.js';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
/** The system of each test in turn, at one address. */
let system: StandIn;
let handle: StandInHandler;
let database: Database;
beforeAll(async () => {
  system = await startStandIn((request) => handle(request));
  server = await QueryServer.start({ allowedUrls: [system.url] });
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
  await system.stop();
});

type StandIn = Awaited<ReturnType<typeof startStandIn>>;
type Github = Awaited<ReturnType<typeof vendorStandIns.github>>;

let tenant: string;
let github: Github & StandIn;

beforeEach(async () => {
  tenant = uniqueName('t');
  await apply({ kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Acme' } });
  github = startOf(await vendorStandIns.github());
});

/** From now on the system is this one. */
function startOf<S extends { handle: StandInHandler }>(state: S): S & StandIn {
  ({ handle } = state);
  return { ...state, ...system };
}

async function apply(...documents: object[]): Promise<void> {
  const mutation = `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename ... on ValidationError { violations { path message } } } }`;
  const given = documents.map((one) => ({ apiVersion: 'millrace/v1', ...one }));
  expect(await server.data({ operatorIn: tenant }, mutation, { documents: given })).toMatchObject({
    applyDocuments: { __typename: 'ApplyDocumentsSuccess' },
  });
}

const named = (name: string) => ({ tenant, name });
const bearer = { kind: 'bearer', token: { value: 'a-token-of-the-system' } };
const connect = (connector: string, settings: object, auth: object = bearer) =>
  apply({ kind: 'Connection', metadata: named(connector), spec: { connector, settings, auth } });

type As = Parameters<QueryServer['data']>[0];
type Result = {
  __typename: string;
  change?: string;
  webhook?: Record<string, unknown>;
  violations?: { path: string[]; message: string }[];
  removed?: number;
} & Record<string, unknown>;
async function command(name: string, selection: string, input: object, as: As = { operatorIn: tenant }): Promise<Result> {
  const type = name[0]!.toUpperCase() + name.slice(1);
  const mutation = `mutation ($input: ${type}Input!) { result: ${name}(input: $input) { __typename ... on ${type}Success { ${selection} }
    ... on ValidationError { code violations { path message } } ... on NotFoundError { code message } ... on ForbiddenError { code } ... on UnavailableError { code message retryAfterMs } } }`;
  return (await server.data<{ result: Result }>(as, mutation, { input })).result;
}
const register = (input: object, as?: As) =>
  command('registerWebhook', 'change steps webhook { source connection url events ids }', input, as);
const unregister = (source: string) => command('unregisterWebhook', 'removed', { source });
const list = async () =>
  (await server.data<{ webhooks: object[] }>({ operatorIn: tenant }, '{ webhooks { source url events ids } }')).webhooks;

/** The secrets of a source in the clear. */
async function secretsOf(name: string): Promise<string[]> {
  const principal = { tenant, actor: 'operator', scopes: ['admin'] } as never;
  const rows = await server.part(DocumentService).list(principal, 'Source');
  const { spec } = server.part(DocumentSecrets).opened(rows.find((row) => row.name === name)!.document as SourceDocument) as unknown as {
    spec: { secrets: { value: string }[] };
  };
  return spec.secrets.map(({ value }) => value);
}

const urlOf = (source: string): string => `https://millrace.example/webhooks/${tenant}.${source}`;
const target = { owner: 'acme', repo: 'shop' };
const writes = (requests: readonly StandInRequest[]) => requests.filter(({ method }) => method !== 'GET').map(({ method }) => method);

describe('a webhook whose secret Millrace makes', () => {
  const first = { source: 'code', connection: 'github', target, events: ['issues', 'push'] };
  beforeEach(() => connect('github', { base: github.url }));

  test('is made with its source, which verifies with the secret that the system has', async () => {
    expect(await register(first)).toMatchObject({
      change: 'CREATED',
      webhook: { source: 'code', connection: 'github', url: urlOf('code'), ids: ['1'] },
    });
    expect(github.hooks).toMatchObject([
      { active: true, events: ['issues', 'push'], config: { url: urlOf('code'), content_type: 'json' } },
    ]);
    expect(await secretsOf('code')).toEqual([github.hooks[0]!.config.secret]);
    expect(await list()).toEqual([{ source: 'code', url: urlOf('code'), events: ['issues', 'push'], ids: ['1'] }]);
  });

  test('is left as it is by a repeat', async () => {
    await register(first);
    const before = [writes(github.requests).length, await secretsOf('code')];
    expect(await register({ source: 'code' })).toMatchObject({ change: 'UNCHANGED', webhook: { ids: ['1'] } });
    expect([writes(github.requests).length, await secretsOf('code')]).toEqual(before);
  });

  test('gets other events, and keeps its secret', async () => {
    await register(first);
    const { secret } = github.hooks[0]!.config;
    expect(await register({ source: 'code', events: ['release'] })).toMatchObject({ change: 'UPDATED', webhook: { events: ['release'] } });
    expect(github.hooks).toMatchObject([{ events: ['release'], config: { secret } }]);
    expect(await secretsOf('code')).toEqual([secret]);
  });

  test('gets another secret, beside which the one before still verifies', async () => {
    await register(first);
    const before = github.hooks[0]!.config.secret;
    for (let times = 0; times < 2; times += 1) await register({ source: 'code', rotateSecret: true });
    const [now, last, ...older] = await secretsOf('code');
    expect(now).toBe(github.hooks[0]!.config.secret);
    expect([last, ...older]).not.toContain(before);
    expect([now, last].includes(undefined)).toBe(false);
    expect(older).toEqual([]);
  });

  test.each([
    ['is refused', { status: 422, body: { message: 'No' } }, 1],
    ['is not answered', 'lose' as const, 2],
  ])('keeps verifying with the secret it has, however often another one %s', async (_, fault, secrets) => {
    await register(first);
    const { secret } = github.hooks[0]!.config;
    for (let times = 0; times < 2; times += 1) {
      github.fault({ status: 200, headers: { 'content-type': 'application/json' }, body: [...github.hooks] as never });
      github.fault(fault);
      expect(await register({ source: 'code', rotateSecret: true })).toMatchObject({ code: expect.stringMatching(/^webhook\./) as string });
      expect(await secretsOf('code')).toContain(secret);
      expect(await secretsOf('code')).toContain(github.hooks[0]!.config.secret);
      if (secrets === 1) expect(await secretsOf('code')).toEqual([secret]);
    }
    expect(await register({ source: 'code', rotateSecret: true })).toMatchObject({ change: 'UPDATED' });
    expect(await secretsOf('code')).toEqual([github.hooks[0]!.config.secret, secret]);
  });

  test('is not given another secret where nobody knows which of those of its source are in use', async () => {
    await register(first);
    const secretsNow = [github.hooks[0]!.config.secret, 'second', 'third', 'fourth'].map((value) => ({ value }));
    await apply({ kind: 'Source', metadata: named('code'), spec: { scheme: 'github', secrets: secretsNow } });
    expect(await register({ source: 'code', rotateSecret: true })).toMatchObject({
      code: 'webhook.refused',
      violations: [{ path: ['input', 'source'], message: expect.stringContaining('Apply the Source with those alone') as string }],
    });
    expect(await secretsOf('code')).toHaveLength(4);
  });

  test('that was removed at the system is made again', async () => {
    await register(first);
    github.hooks.splice(0);
    expect(await register({ source: 'code' })).toMatchObject({ change: 'CREATED', webhook: { ids: ['2'] } });
    expect(await secretsOf('code')).toContain(github.hooks[0]!.config.secret);
  });

  test('whose making was not answered is found by its address, and gets a secret that the source has', async () => {
    github.fault({ status: 200, headers: { 'content-type': 'application/json' }, body: [] });
    github.fault('lose');
    expect(await register(first)).toMatchObject({ __typename: 'UnavailableError', code: 'webhook.unavailable' });
    expect(github.hooks).toHaveLength(1);
    expect(await register(first)).toMatchObject({ change: 'UPDATED', webhook: { ids: ['1'] } });
    expect(github.hooks).toHaveLength(1);
    expect(await secretsOf('code')).toContain(github.hooks[0]!.config.secret);
  });

  test('is removed, and those of others stay', async () => {
    const other = { id: 90, active: true, events: ['push'], config: { url: 'https://other.example/hook' } };
    github.hooks.push(other);
    await register(first);
    expect(await unregister('code')).toMatchObject({ removed: 1 });
    expect(github.hooks).toEqual([other]);
    expect(await unregister('code')).toMatchObject({ removed: 0 });
    expect(await unregister('cdoe')).toMatchObject({ code: 'source.unknown', message: 'There is no source cdoe; did you mean code?' });
    expect(await list()).toEqual([]);
  });

  test('follows its source to another address, and the old one is removed', async () => {
    await register(first);
    const moved = 'https://hooks.acme.example/in';
    await apply({
      kind: 'Source',
      metadata: named('code'),
      spec: { scheme: 'github', secrets: [{ value: github.hooks[0]!.config.secret }], publicUrl: moved },
    });
    expect(await register({ source: 'code' })).toMatchObject({ webhook: { url: moved } });
    expect(github.hooks.map(({ config }) => config.url)).toEqual([moved]);
  });

  test('is audited', async () => {
    await register(first);
    await unregister('code');
    const audited = await database.query<{ action: string; target: string }>(
      statement(
        'test.webhook.audit',
        `SELECT action, target FROM audit_entry WHERE tenant_id = $1 AND target = 'Source/code' ORDER BY at, id`,
      ),
      [tenant],
    );
    expect(audited.map(({ action }) => action)).toEqual(['registerWebhook', 'applyDocuments', 'unregisterWebhook']);
  });

  test.each([
    [{ target: { owner: 'acme' } }, 'target', /must have required property 'repo'/],
    [{ events: [] }, 'events', /^is missing: name at least one/],
    [{ connection: undefined }, 'connection', /^is missing: no webhook was registered for this source before/],
  ])('is refused with %j', async (change, field, message) => {
    expect((await register({ ...first, ...change })).violations).toEqual([
      { path: ['input', field], message: expect.stringMatching(message) },
    ]);
  });

  test('is refused for a source of another scheme, by a key without ADMIN, and where the system refuses it', async () => {
    await apply({ kind: 'Source', metadata: named('code'), spec: { scheme: 'stripe', secrets: [{ value: 'whsec_0123456789abcdef' }] } });
    expect(await register(first)).toMatchObject({
      code: 'webhook.unsupported',
      violations: [{ path: ['input', 'source'], message: expect.stringContaining('scheme stripe') }],
    });
    expect(await register(first, await server.key(tenant, 'operate'))).toMatchObject({ __typename: 'ForbiddenError' });
    github.fault({ status: 404, body: { message: 'Not Found' } });
    expect(await register({ ...first, source: 'other' })).toMatchObject({
      code: 'webhook.refused',
      violations: [{ path: ['input', 'connection'], message: expect.stringContaining('Not Found') }],
    });
  });

  test('tells no secret, neither in answers nor in the audit', async () => {
    const answer = JSON.stringify([await register(first), await list()]);
    const audited = JSON.stringify(
      await database.query(statement('test.webhook.details', 'SELECT detail FROM audit_entry WHERE tenant_id = $1'), [tenant]),
    );
    const { secret } = github.hooks[0]!.config;
    expect(answer + audited).not.toContain(secret);
  });
});

describe('a webhook whose secret the system makes', () => {
  test('is made, repeated, rotated and removed at Stripe', async () => {
    const stripe = startOf(await vendorStandIns.stripe());
    await connect('stripe', { base: stripe.url });
    const endpoints = () => stripe.objects.get('webhook_endpoints')!;
    expect(await register({ source: 'pay', connection: 'stripe' })).toMatchObject({ change: 'CREATED', webhook: { events: ['*'] } });
    const [made] = endpoints();
    const secrets = await secretsOf('pay');
    expect(secrets).toEqual([expect.stringMatching(new RegExp(`^whsec_${made!.id}`))]);
    expect(await register({ source: 'pay' })).toMatchObject({ change: 'UNCHANGED' });
    expect(await register({ source: 'pay', events: ['charge.failed'] })).toMatchObject({ change: 'UPDATED', webhook: { ids: [made!.id] } });
    expect(await register({ source: 'pay', rotateSecret: true })).toMatchObject({ change: 'UPDATED' });
    expect(endpoints()).toMatchObject([{ enabled_events: ['charge.failed'], url: urlOf('pay') }]);
    expect(endpoints()[0]!.id).not.toBe(made!.id);
    expect(await secretsOf('pay')).toEqual([expect.stringContaining(endpoints()[0]!.id), ...secrets]);
    expect(await unregister('pay')).toMatchObject({ removed: 1 });
    expect(endpoints()).toEqual([]);
  });
});

describe('webhooks of which each is for one event', () => {
  test('are made for what is missing and removed for what is not wanted any more, at Shopify', async () => {
    const shopify = startOf(await vendorStandIns.shopify());
    await connect(
      'shopify',
      { base: `${shopify.url}/admin/api/2026-10` },
      { kind: 'apiKey', in: 'header', name: 'X-Shopify-Access-Token', value: { value: 'shpat_0123456789' } },
    );
    const topics = () => shopify.webhooks.map(({ topic }) => topic);
    const events = ['ORDERS_CREATE', 'ORDERS_UPDATED'];
    expect(await register({ source: 'shop', connection: 'shopify', events })).toMatchObject({
      code: 'webhook.unsupported',
      violations: [{ message: expect.stringContaining('apply a Source of the scheme shopify first. The client secret of the app') }],
    });
    await apply({
      kind: 'Source',
      metadata: named('shop'),
      spec: { scheme: 'shopify', secrets: [{ value: 'the-client-secret-of-the-app' }] },
    });
    expect(await register({ source: 'shop', connection: 'shopify', events })).toMatchObject({ change: 'CREATED' });
    expect(topics()).toEqual(events);
    expect(await register({ source: 'shop' })).toMatchObject({ change: 'UNCHANGED' });
    await register({ source: 'shop', events: ['ORDERS_UPDATED', 'APP_UNINSTALLED'] });
    expect(topics().toSorted()).toEqual(['APP_UNINSTALLED', 'ORDERS_UPDATED']);
    expect(await register({ source: 'shop', rotateSecret: true })).toMatchObject({ violations: [{ path: ['input', 'rotateSecret'] }] });
    expect(await secretsOf('shop')).toEqual(['the-client-secret-of-the-app']);
    expect(await unregister('shop')).toMatchObject({ removed: 2 });
  });
});

test('a person registers the webhook of an app, and is told how', async () => {
  await connect('slack', {});
  await apply({ kind: 'Source', metadata: named('chat'), spec: { scheme: 'slack', secrets: [{ value: 'a-signing-secret-of-slack' }] } });
  const { change, steps } = await register({ source: 'chat', connection: 'slack' });
  expect(change).toBe('MANUAL');
  expect((steps as string[]).join(' ')).toContain(urlOf('chat'));
});

test.each(['hubspot', 'hubspot-v1', 'hubspot-v2'])(
  'a person registers the webhook of HubSpot for a source of the preset %s',
  async (scheme) => {
    await connect('hubspot', {});
    const publicUrl = 'https://hooks.acme.example/in';
    await apply({ kind: 'Source', metadata: named('hs'), spec: { scheme, secrets: [{ value: 'a-client-secret-of-hubspot' }], publicUrl } });
    const { change, steps } = await register({ source: 'hs', connection: 'hubspot' });
    expect(change).toBe('MANUAL');
    expect((steps as string[]).join(' ')).toContain(`enter the target URL ${publicUrl}`);
  },
);

test('a source of a scheme that the system does not sign with is refused, with those that it does', async () => {
  await connect('hubspot', {});
  await apply({ kind: 'Source', metadata: named('hs'), spec: { scheme: 'stripe', secrets: [{ value: 'whsec_0123456789abcdef' }] } });
  expect(await register({ source: 'hs', connection: 'hubspot' })).toMatchObject({
    code: 'webhook.unsupported',
    violations: [{ message: expect.stringContaining('need hubspot or hubspot-v1 or hubspot-v2 or custom') as string }],
  });
});

/** A system of a connector of the tenant. `answers` replaces what it says, by method. */
interface Desk {
  readonly hooks: { id: string; address: string; topics: string[]; key: string }[];
  readonly requests: StandInRequest[];
  readonly answers: Partial<Record<string, (request: StandInRequest) => StandInResponse>>;
}

async function startDesk(webhooks: object = {}): Promise<Desk> {
  const desk: Desk = { hooks: [], requests: [], answers: {} };
  const { hooks, requests, answers } = desk;
  const { url } = startOf({
    handle: (request) => {
      const { method, segments, body } = request;
      requests.push(request);
      const answer = answers[method]?.(request);
      if (answer !== undefined) return answer;
      if (method === 'GET') return { status: 200, body: hooks };
      if (method === 'DELETE') {
        hooks.splice(
          hooks.findIndex(({ id }) => id === segments[1]),
          1,
        );
        return { status: 204 };
      }
      const id = `h-${requests.length}`;
      hooks.push({ id, ...(body as object) } as Desk['hooks'][number]);
      return { status: 201, body: { hook: id } };
    },
  });
  const operation = (effect: string, request: object, more = {}) => ({ summary: 'Do it.', effect, input: {}, request, ...more });
  await apply({
    kind: 'Connector',
    metadata: named('desk'),
    spec: {
      summary: 'A desk.',
      base: '{settings.base}',
      hosts: ['*'],
      settings: { type: 'object', required: ['base'], properties: { base: { type: 'string' } } },
      auth: [{ kind: 'bearer' }],
      message: 'response.body.message',
      operations: {
        hooks: operation('read', { path: '/hooks' }),
        hook: operation('write', { method: 'POST', path: '/hooks', body: 'input' }, { idempotency: { class: 'none' } }),
        unhook: operation('write', { method: 'DELETE', path: '/hooks/{input.id}' }, { idempotency: { class: 'absolute' } }),
      },
      webhooks: {
        kind: 'api',
        scheme: 'standard-webhooks',
        events: ['ticket.opened'],
        list: { operation: 'hooks', id: 'item.id', url: 'item.address', events: 'item.topics' },
        create: { operation: 'hook', input: '{ "address": url, "topics": events, "key": secret }', id: 'output.hook' },
        delete: { operation: 'unhook', input: '{ "id": id }' },
        secret: { kind: 'generated' },
        ...webhooks,
      },
    },
  });
  await connect('desk', { base: url });
  return desk;
}

describe('a connector of the tenant', () => {
  const first = { source: 'tickets', connection: 'desk' };
  const create = { operation: 'hook', input: '{ "address": url, "topics": events, "key": secret }' };
  const returned = { secret: { kind: 'returned', value: 'output.key' } };

  test('registers webhooks by its section', async () => {
    const { hooks } = await startDesk();
    expect(await register(first)).toMatchObject({ change: 'CREATED', webhook: { ids: [hooks[0]!.id] } });
    expect(hooks).toMatchObject([{ address: urlOf('tickets'), topics: ['ticket.opened'], key: (await secretsOf('tickets'))[0] }]);
    expect(await unregister('tickets')).toMatchObject({ removed: 1 });
    expect(hooks).toEqual([]);
  });

  test.each([422, 500])('tells no secret that it gave where the system repeats it with status %i', async (status) => {
    const desk = await startDesk();
    let key = '';
    desk.answers['POST'] = ({ body }) => {
      ({ key } = body as { key: string });
      const bare = key.replace('whsec_', '');
      return { status, body: { message: `cannot take ${key} (${bare}, ${encodeURIComponent(key)})` } };
    };
    const answer = JSON.stringify(await register(first));
    expect(answer).toContain('cannot take [redacted] ([redacted], [redacted])');
    expect(key).toMatch(/^whsec_/);
    expect(answer).not.toContain(key.slice('whsec_'.length, 20));
  });

  test('tells no secret that it gave in an expression that fails', async () => {
    await startDesk({ create: { operation: 'hook', input: '{ "key": $number(secret) }', id: 'output.hook' } });
    const result = await register(first);
    const [key] = await secretsOf('tickets');
    expect(result).toMatchObject({ code: 'webhook.refused' });
    expect(JSON.stringify(result)).not.toContain(key!.slice('whsec_'.length));
  });

  test.each([422, 500])('tells no secret that the system made where it fails with status %i', async (status) => {
    const desk = await startDesk(returned);
    const key = 'whsec_of/the+system==';
    desk.answers['POST'] = () => ({ status, body: { message: `made ${key}, but cannot keep it`, key } });
    expect(JSON.stringify(await register(first))).toContain('made [redacted], but cannot keep it');
  });

  test.each([
    [
      'has no secret',
      returned,
      { hook: 'h-1' },
      'the system returned no secret with the new webhook, where the connector reads it: output.key',
    ],
    ['has neither secret nor id', returned, {}, 'the system returned no secret'],
    ['has an id that cannot be read', { create: { ...create, id: '$number(output.hook)' } }, { hook: 'h-1' }, 'in the expression'],
  ])('leaves no webhook at the system where the answer to its making %s', async (_, section, body, why) => {
    const desk = await startDesk(section);
    desk.hooks.push({ id: 'h-0', address: 'https://other.example/hook', topics: [], key: '' });
    desk.answers['POST'] = ({ body: given }) => {
      desk.hooks.push({ id: 'h-1', ...(given as object) } as Desk['hooks'][number]);
      return { status: 201, body };
    };
    for (let times = 0; times < 2; times += 1) expect(JSON.stringify(await register(first))).toContain(why);
    expect(desk.hooks.map(({ id }) => id)).toEqual(['h-0']);
    expect(await list()).toEqual([]);
  });

  test('keeps one webhook at most where answers are lost, and replaces it', async () => {
    const desk = await startDesk();
    desk.answers['POST'] = ({ body }) => {
      desk.hooks.push({ id: `h-${desk.requests.length}`, ...(body as object) } as Desk['hooks'][number]);
      return { status: 500, body: { message: 'lost' } };
    };
    for (let times = 0; times < 3; times += 1) expect(await register(first)).toMatchObject({ code: 'webhook.unavailable' });
    expect(desk.hooks).toHaveLength(1);
    delete desk.answers['POST'];
    expect(await register(first)).toMatchObject({ change: 'UPDATED' });
    expect(desk.hooks).toMatchObject([{ key: (await secretsOf('tickets'))[0] }]);
  });

  test('tells of a new webhook that it cannot remove again', async () => {
    const desk = await startDesk(returned);
    desk.answers['DELETE'] = () => ({ status: 403, body: { message: 'Not yours' } });
    const { code, violations } = await register(first);
    expect(code).toBe('webhook.refused');
    expect(violations![0]!.message).toMatch(
      /^desk: the system returned no secret .*; a new webhook for https:.* may be left there, .*“Not yours”/,
    );
  });

  test.each([
    ['an error', { body: { error: 'busy' } }],
    ['null', { text: 'null' }],
    ['a text', { text: '"busy"' }],
    ['nothing', { status: 204 }],
  ])('makes and removes nothing where the webhooks of the system are read as %s', async (_, answer) => {
    const desk = await startDesk();
    await register(first);
    const before = writes(desk.requests);
    desk.answers['GET'] = () => ({ status: 200, headers: { 'content-type': 'application/json' }, ...answer });
    const refusal = {
      code: 'webhook.refused',
      violations: [{ path: ['input', 'connection'], message: expect.stringContaining('its answer holds no list') }],
    };
    expect(await register(first)).toMatchObject(refusal);
    expect(await unregister('tickets')).toMatchObject(refusal);
    expect(writes(desk.requests)).toEqual(before);
  });
});

describe('a check of webhooks at partners', () => {
  const first = { source: 'code', connection: 'github', target, events: ['issues', 'push'] };
  const check = async (source?: string) => (await command('checkWebhooks', 'checks { source state message }', { source }))['checks'];
  beforeEach(() => connect('github', { base: github.url }));

  test('finds one that is as it was registered, and nothing where none was', async () => {
    expect(await check()).toEqual([]);
    await register(first);
    const before = writes(github.requests).length;
    expect(await check()).toEqual([{ source: 'code', state: 'PRESENT', message: null }]);
    await apply({ kind: 'Source', metadata: named('quiet'), spec: { scheme: 'api-key' } });
    expect(await check('quiet')).toEqual([]);
    expect(writes(github.requests)).toHaveLength(before);
  });

  test('refuses the name of a source that does not exist, with one that is similar, and needs no more than OPERATE', async () => {
    await register(first);
    const as = await server.key(tenant, 'operate');
    const checkBy = (source: string) => command('checkWebhooks', 'checks { source state }', { source }, as);
    expect(await checkBy('coed')).toMatchObject({
      __typename: 'NotFoundError',
      code: 'source.unknown',
      message: 'There is no source coed; did you mean code?',
    });
    expect(await checkBy('elsewhere')).toMatchObject({ code: 'source.unknown', message: 'There is no source elsewhere' });
    expect(await checkBy('code')).toMatchObject({ checks: [{ source: 'code', state: 'PRESENT' }] });
  });

  test('tells what is missing, and what was changed', async () => {
    await register(first);
    const [hook] = github.hooks as [(typeof github.hooks)[number]];
    hook.events = ['push'];
    expect(await check()).toMatchObject([{ state: 'CHANGED', message: 'it is for push, and was registered for issues, push' }]);
    hook.config.url = 'https://elsewhere.example/hook';
    expect(await check()).toMatchObject([{ state: 'CHANGED', message: 'it calls https://elsewhere.example/hook' }]);
    github.hooks.splice(0);
    expect(await check()).toMatchObject([{ state: 'MISSING' }]);
    expect(await register({ source: 'code' })).toMatchObject({ change: 'CREATED' });
    expect(await check()).toMatchObject([{ state: 'PRESENT' }]);
  });

  test('tells of one that is switched off, which a registration switches on', async () => {
    await register(first);
    const [hook] = github.hooks as [(typeof github.hooks)[number]];
    const { secret } = hook.config;
    hook.active = false;
    expect(await check()).toMatchObject([{ state: 'CHANGED', message: 'it is switched off' }]);
    hook.events = ['push'];
    expect(await check()).toMatchObject([
      { state: 'CHANGED', message: 'it is switched off; it is for push, and was registered for issues, push' },
    ]);
    expect(await register({ source: 'code' })).toMatchObject({ change: 'UPDATED', webhook: { ids: ['1'] } });
    expect(github.hooks).toMatchObject([{ id: 1, active: true, events: ['issues', 'push'], config: { secret } }]);
    expect(await check()).toMatchObject([{ state: 'PRESENT' }]);
  });

  test('tells of an endpoint that Stripe disabled, which a registration enables with its secret', async () => {
    const stripe = startOf(await vendorStandIns.stripe());
    await connect('stripe', { base: stripe.url });
    await register({ source: 'pay', connection: 'stripe' });
    const [endpoint] = stripe.objects.get('webhook_endpoints')!;
    const secrets = await secretsOf('pay');
    endpoint!['status'] = 'disabled';
    expect(await check('pay')).toMatchObject([{ state: 'CHANGED', message: 'it is switched off' }]);
    expect(await register({ source: 'pay' })).toMatchObject({ change: 'UPDATED', webhook: { ids: [endpoint!.id] } });
    expect(stripe.objects.get('webhook_endpoints')).toMatchObject([{ id: endpoint!.id, status: 'enabled' }]);
    expect(await secretsOf('pay')).toEqual(secrets);
    expect(await check('pay')).toMatchObject([{ state: 'PRESENT' }]);
  });

  describe('at a connector of the tenant that says which are switched off', () => {
    const tickets = { source: 'tickets', connection: 'desk' };
    const listed = { operation: 'hooks', id: 'item.id', url: 'item.address', events: 'item.topics', active: 'item.enabled' };

    test('has one made anew where none can be changed', async () => {
      const { hooks } = await startDesk({ list: listed });
      await register(tickets);
      const [off] = hooks as [Desk['hooks'][number] & { enabled?: boolean }];
      off.enabled = false;
      expect(await check('tickets')).toMatchObject([{ state: 'CHANGED', message: 'it is switched off' }]);
      expect(await register(tickets)).toMatchObject({ change: 'UPDATED' });
      expect(hooks).toHaveLength(1);
      expect(hooks[0]!.id).not.toBe(off.id);
      expect(await secretsOf('tickets')).toContain(hooks[0]!.key);
      expect(await check('tickets')).toMatchObject([{ state: 'PRESENT' }]);
    });

    test('refuses to call it repaired where the change leaves it switched off', async () => {
      const update = { operation: 'unhook', input: '{ "id": id }' };
      const desk = await startDesk({ list: listed, update });
      await register(tickets);
      Object.assign(desk.hooks[0]!, { enabled: false });
      desk.answers['DELETE'] = () => ({ status: 204 });
      expect(await register(tickets)).toMatchObject({
        code: 'webhook.refused',
        violations: [{ message: expect.stringContaining('the operation unhook did not switch it on') as string }],
      });
    });

    test('tells for which events it is switched off, where each has a webhook of its own', async () => {
      const { hooks } = await startDesk({
        list: listed,
        perEvent: true,
        create: { operation: 'hook', input: '{ "address": url, "topics": [event] }', id: 'output.hook' },
        secret: { kind: 'fixed', note: 'Of the app.' },
      });
      await apply({
        kind: 'Source',
        metadata: named('tickets'),
        spec: { scheme: 'standard-webhooks', secrets: [{ value: `whsec_${btoa('a-secret-of-the-app-of-desk')}` }] },
      });
      await register({ ...tickets, events: ['opened', 'closed'] });
      Object.assign(hooks[1]!, { enabled: false });
      expect(await check('tickets')).toMatchObject([{ state: 'CHANGED', message: 'it is switched off for closed' }]);
      expect(await register(tickets)).toMatchObject({ change: 'UPDATED' });
      expect(hooks.map(({ topics }) => topics)).toEqual([['opened'], ['closed']]);
      expect(await check('tickets')).toMatchObject([{ state: 'PRESENT' }]);
    });
  });

  test('says of one that nobody can ask about that it is unknown, and why', async () => {
    await register(first);
    github.fault({ status: 403, body: { message: 'Not yours' } });
    expect(await check()).toMatchObject([{ state: 'UNKNOWN', message: expect.stringContaining('Not yours') as string }]);
    github.fault({ status: 503 });
    expect(await check()).toMatchObject([{ state: 'UNKNOWN' }]);
    github.fault({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, text: '<!doctype html><title>Sign in</title>' });
    expect(await check()).toMatchObject([
      { state: 'UNKNOWN', message: expect.stringContaining('the body is a web page and not JSON') as string },
    ]);
    expect(await check()).toMatchObject([{ state: 'PRESENT' }]);
  });
});

test('an input that does not fit is refused in plain words', async () => {
  const many = Array.from({ length: 501 }, (_, at) => `event-${at}`);
  expect(await register({ source: 'x', events: many })).toMatchObject({
    violations: [{ path: ['input', 'events'], message: 'must have at most 500 items' }],
  });
  expect(await register({ source: 'x', events: [''] })).toMatchObject({
    violations: [{ path: ['input', 'events', '0'], message: 'must not be empty' }],
  });
});

test('a connection to a system without webhooks is refused', async () => {
  await connect('rest', { base: 'https://api.example.com' });
  expect(await register({ source: 'x', connection: 'rest' })).toMatchObject({
    code: 'webhook.unsupported',
    violations: [{ path: ['input', 'connection'] }],
  });
  expect(await register({ source: 'x', connection: 'none' })).toMatchObject({ __typename: 'NotFoundError', code: 'connection.unknown' });
});
