import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { Configuration } from '#libs/persistence';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let key: string;
const operator = { operatorIn: 'acme' };

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-query-'));
  const postgres = await EmbeddedPostgres.start({ directory, durable: false });
  await migrate(postgres.ownerUrl);
  server = await QueryServer.start(
    {},
    { url: postgres.serviceUrl, queryUrl: postgres.queryUrl, close: () => rm(directory, { recursive: true }) },
  );
  key = await server.key('acme', 'read', 'operate');
  await server.part(Configuration).readAgain(); // so that the key is in memory
  await postgres.stop();
});
afterAll(() => server.stop());

/** Says nothing of hosts: whoever may see them reads /readyz. */
const outage = { message: 'Postgres cannot be reached', extensions: { code: 'storage.unavailable', outcome: 'retry' } };
const unknownKey = { authorization: `Bearer mr_test_0123456789abcdef_${'0'.repeat(48)}` };
const list = '{ events { nodes { id } } }';

test.each([
  ['a list', list],
  ['one thing', '{ event(id: "evt_00000000000000000000000000000000") { id } }'],
  ['several things', '{ events { nodes { id } } customers { nodes { key } } }'],
])('a query for %s is answered 503 with Retry-After', async (_what, query) => {
  const { status, headers, errors } = await server.ask(key, query);
  expect([status, headers.get('retry-after')]).toEqual([503, '1']);
  expect(errors).toMatchObject([outage]);
});

test('so is one of a client that asks for application/json, and one by GET', async () => {
  const credentials = { authorization: `Bearer ${key}`, 'apollo-require-preflight': '1' };
  const posted = await server.send({ query: list }, credentials);
  const gotten = await fetch(`${server.url}/graphql?query=${encodeURIComponent(list)}`, { headers: credentials });
  for (const response of [posted, gotten]) {
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(((await response.json()) as { errors: unknown }).errors).toMatchObject([outage]);
  }
});

test('what needs no Postgres is answered', async () => {
  expect(await server.ask(key, '{ __typename }')).toMatchObject({ status: 200, data: { __typename: 'Query' } });
});

test('a command answers with the error that its clients know, and when to come back', async () => {
  const command = `mutation { replayEvents(input: { ids: ["evt_00000000000000000000000000000000"], idempotencyKey: "once" }) {
    ... on UnavailableError { code message retryAfterMs }
  } }`;
  const { data, errors } = await server.ask<{ replayEvents: object }>(operator, command);
  expect(errors).toBeUndefined();
  expect(data?.replayEvents).toEqual({ code: 'storage.unavailable', message: 'Postgres cannot be reached', retryAfterMs: 1_000 });
});

test('a key that is not in memory is neither refused nor let in, at any door', async () => {
  const asked = await server.send({ query: list }, unknownKey);
  const subscribed = await server.send(
    { query: 'subscription { eventChanged { __typename } }' },
    { ...unknownKey, accept: 'text/event-stream' },
  );
  for (const response of [asked, subscribed]) {
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(((await response.json()) as { errors: unknown }).errors).toMatchObject([outage]);
  }
});

test('the page for people says so, and when to come back', async () => {
  const response = await fetch(server.url, { headers: { authorization: `Bearer ${server.operatorKey}`, 'millrace-tenant': 'acme' } });
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await response.text()).toContain('<p class="refusal" role="alert">Postgres cannot be reached</p>');
});

test('/readyz has the reason, with the host', async () => {
  const response = await fetch(`${server.url}/readyz`);
  expect(response.status).toBe(200); // a door answers better than a load balancer without one
  expect(await response.json()).toMatchObject({
    status: 'degraded',
    parts: { 'query storage': expect.stringMatching(/^Postgres is not available: .*127\.0\.0\.1/), log: 'ok' },
  });
});
