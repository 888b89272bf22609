import { expect, test } from 'vitest';
import type { OutboundRequest } from '#libs/connections';
import { HttpClient } from '#libs/http';
import { builtInConnectors } from '../built-in.js';
import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { Connectors } from '../connectors.js';
import { startStandIn } from '../stand-in.js';

test('an input with properties that the operation does not take is refused by their names, with those that it takes', async () => {
  const http = new HttpClient({ allowPrivateAddresses: true });
  const connection = {
    tenant: 'acme',
    name: 'shop',
    connector: 'rest',
    settings: { base: 'http://127.0.0.1:9' },
    authorizer: {} as never,
    timeoutMs: 1_000,
  };
  const input = { path: '/x', qurey: {}, ['a\nb']: 1 };
  const call = { connection, operation: 'read', input, effectKey: '', signal: new AbortController().signal };
  await expect(new Connectors({ http }).run(call)).rejects.toMatchObject({
    code: 'operation.inputInvalid',
    message: expect.stringContaining('it takes no qurey, a b; it takes ') as string,
  });
  await http.close();
});

connectorConformance({
  name: 'rest',
  start: async () => {
    const orders = new Map<string, unknown>();
    const standIn = await startStandIn(({ method, segments, body }) => {
      if (method === 'PUT') orders.set(segments.join('/'), body);
      return { status: 200, body: { taken: body ?? null } };
    });
    return { ...standIn, orders };
  },
  settings: ({ url }) => ({ base: `${url}/api` }),
  writes: [
    {
      operation: 'request',
      input: { method: 'PUT', path: '/orders', segments: ['o/1'], body: { total: 1 } },
      effects: ({ orders }) => orders.size,
    },
  ],
  answers: [
    { as: 'permanent', status: 422, body: { message: 'no' } },
    { as: 'permanent', status: 404 },
    { as: 'permanent', status: 302, headers: { location: '/elsewhere' } },
    { as: 'limited', status: 429, headers: { 'retry-after': String(pauseMs / 1_000) } },
    { as: 'transient', status: 503, headers: { 'retry-after': String(pauseMs / 1_000) } },
    { as: 'transient', status: 408 },
    { as: 'uncertain', status: 500, body: {} },
    { as: 'uncertain', status: 502, body: {} },
    { as: 'credential', status: 401, body: {} },
    { as: 'conflict', status: 409, body: {} },
  ],
  hostile: [
    { operation: 'request', input: (text) => ({ path: '/orders', segments: [text] }), seen: ({ segments }) => segments[2] },
    { operation: 'request', input: (text) => ({ path: '/a', query: { q: text } }), seen: ({ query }) => query.get('q') },
    { operation: 'request', input: (text) => ({ path: '/a', headers: { 'x-a': text } }), seen: ({ headers }) => headers['x-a'] },
    { operation: 'request', input: (text) => ({ path: '/a', body: { text } }), seen: ({ body }) => (body as { text: string }).text },
    {
      operation: 'request',
      input: (text) => ({ path: '/a', form: { text: { in: [text] } } }),
      seen: ({ text }) => new URLSearchParams(text).get('text[in][0]'),
    },
  ],
});

test.each([
  '/a/../../b',
  '/./a',
  '/%2E%2e/b',
  '/a//b',
  '/a?b',
  '/a#b',
  '/a b',
  '/\u202E',
  String.raw`/a\b`,
  '//other.example/x',
  '/a%2',
  'a',
  '',
])('a path that is not encoded, or leaves the base, is refused: %s', async (path) => {
  const http = new HttpClient({ allowPrivateAddresses: false });
  const authorizer = {
    authorize: () => Promise.reject(new Error('nothing may be sent')),
    login: () => Promise.reject(new Error('nothing may be sent')),
    accepted: () => undefined,
    refused: () => Promise.resolve(false),
    account: () => Promise.resolve({}),
  };
  const settings = { base: 'https://api.example.com/v1' };
  const connection = { tenant: 'acme', name: 'c', connector: 'rest', settings, authorizer, timeoutMs: 1_000 };
  const call = { connection, operation: 'request', input: { path }, effectKey: 'k', signal: new AbortController().signal };
  await expect(new Connectors({ http }).run(call)).rejects.toMatchObject({ code: 'operation.inputInvalid' });
  await http.close();
});

test('a read takes the parts of a request, as a request that changes something does', async () => {
  const standIn = await startStandIn(({ method, segments, query }) => ({
    status: 200,
    body: { method, segments: [...segments], page: query.get('page') },
  }));
  const http = new HttpClient({ allowPrivateAddresses: true });
  const authorizer = {
    authorize: async (request: OutboundRequest) => ({ ...request, secrets: [], version: 1 }),
    accepted: () => undefined,
    refused: async () => false,
    account: async () => ({}),
    login: () => Promise.reject(new Error('HTTP needs none')),
  };
  const connection = { tenant: 'acme', name: 'c', connector: 'rest', settings: { base: standIn.url }, authorizer, timeoutMs: 5_000 };
  const input = { path: '/orders', segments: ['o/1'], query: { page: 2 } };
  const call = { connection, operation: 'read', input, effectKey: '', signal: new AbortController().signal };
  const { output } = await new Connectors({ http }).run(call);
  expect(output).toMatchObject({ status: 200, body: { method: 'GET', segments: ['orders', 'o/1'], page: '2' } });
  await http.close();
  await standIn.stop();
});

test('no manifest that Millrace brings along has a key that YAML should have merged', () => {
  expect(JSON.stringify([...builtInConnectors().values()])).not.toContain('"<<"');
});
