import { afterAll, beforeAll, expect, test } from 'vitest';
import { QueryServer } from '../../../../../test/query/query-server.js';

let server: QueryServer;
beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());

const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

test('a browser at /graphql gets GraphiQL without a key, and everything it loads comes from this process', async () => {
  const response = await fetch(`${server.url}/graphql`, { headers: browser });
  const page = await response.text();
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  const policy = response.headers.get('content-security-policy')!;
  expect(policy).toMatch(/^default-src 'none'; script-src 'self';/);
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe-inline/);
  expect(page).not.toMatch(/https?:|<script>|\son\w+="/);
  const loaded = [...page.matchAll(/(?:src|href)="([^"]+)"/g)]
    .map(([, address]) => address!)
    .filter((address) => !address.startsWith('data:'));
  expect(loaded.map((address) => address.split('/').at(-1))).toEqual(['graphiql.css', 'graphiql.js', 'start.js']);
  const folder = loaded[0]!.slice(0, loaded[0]!.lastIndexOf('/'));
  for (const name of ['graphiql.css', 'graphiql.js', 'start.js', 'editor.worker.js', 'graphql.worker.js', 'json.worker.js']) {
    const file = await fetch(`${server.url}${folder}/${name}`);
    expect([name, file.status, file.headers.get('content-type')]).toEqual([
      name,
      200,
      name.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8',
    ]);
    expect(file.headers.get('cache-control')).toContain('immutable');
    const text = await file.text();
    // What the policy would refuse: code made of text, and styles or fonts of another host.
    if (name.endsWith('.css')) expect(text).not.toMatch(/@import|url\(["']?https?:/);
    else expect(/\beval\(|\bnew Function\(/.test(text)).toBe(false);
  }
});

test('the headers that GraphiQL begins with can be sent, and are answered with what to do', async () => {
  const page = await (await fetch(`${server.url}/graphql`, { headers: browser })).text();
  expect(page).toContain('rel="icon" href="data:,"'); // else the browser asks for /favicon.ico
  const starter = await (await fetch(`${server.url}${/src="([^"]*start\.js)"/.exec(page)![1]}`)).text();
  const authorization = /authorization: '([^']+)'/.exec(starter)![1]!;
  const headers = { authorization, 'content-type': 'application/json' };
  const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers, body: '{"query":"{ __typename }"}' });
  expect(response.status).toBe(401);
  expect(await response.text()).toMatch(/credential\.invalid/);
});

test('a browser that opens the address again with the document that GraphiQL noted in it gets GraphiQL', async () => {
  const response = await fetch(`${server.url}/graphql?query=%7B__typename%7D`, { headers: browser });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
});

test('a file that is none is a 404 of ours', async () => {
  const { status } = await fetch(`${server.url}/graphql/assets/0.0.0/constructor`);
  expect(status).toBe(404);
});

test('a request of a program is answered as ever, also by GET', async () => {
  const headers = { authorization: `Bearer ${await server.key('acme', 'read')}`, 'apollo-require-preflight': '1' };
  const byGet = await fetch(`${server.url}/graphql?query=%7B__typename%7D`, { headers: { ...headers, ...browser } });
  expect(await byGet.json()).toEqual({ data: { __typename: 'Query' } });
  expect((await fetch(`${server.url}/graphql`, { headers })).headers.get('content-type')).not.toContain('html');
});
