import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ClientCredentials } from './client-credentials.js';
import { securityOptions } from './log-security.js';
import type { SaslLogin } from './log-security.js';

let answers: [status: number, body: string][] = [];
let asked = 0;
const server = createServer((request, response) => {
  asked += 1;
  request.resume();
  const [status, body] = answers.shift() ?? [500, ''];
  response.writeHead(status).end(body);
});
let tokenUrl: string;
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  tokenUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
});
afterAll(() => server.close());
beforeEach(() => void (asked = 0));

const token = (name: string, seconds?: number): [number, string] => [200, JSON.stringify({ access_token: name, expires_in: seconds })];

test('a token is fetched once for all who ask, and again when most of its life is over', async () => {
  let now = 0;
  const credentials = new ClientCredentials({ tokenUrl, clientId: 'a', clientSecret: 'b' }, () => now);
  answers = [token('one', 100), token('two')];
  expect(await Promise.all([credentials.token(), credentials.token()])).toEqual(['one', 'one']);
  now = 79_999;
  expect(await credentials.token()).toBe('one');
  now = 80_000;
  expect(await credentials.token()).toBe('two');
  now += 239_999; // a token without a life is kept for 300 s
  expect(await credentials.token()).toBe('two');
  expect(asked).toBe(2);
});

test('a failure is not kept, and tells no secret', async () => {
  const credentials = new ClientCredentials({ tokenUrl, clientId: 'a', clientSecret: 'hunter2' });
  answers = [[401, 'hunter2 is wrong'], [200, '{}'], [200, 'hunter2'], token('one')];
  await expect(credentials.token()).rejects.toThrow(`${tokenUrl} refused the client credentials of the log with status 401`);
  await expect(credentials.token()).rejects.toThrow(`${tokenUrl} answered without an access_token`);
  await expect(credentials.token()).rejects.toThrow(`${tokenUrl} answered without an access_token`);
  expect(await credentials.token()).toBe('one');
});

test('all clients of a login share one token, and another login has its own', async () => {
  const login = { mechanism: 'oauthbearer', tokenUrl, clientId: 'shared', clientSecret: 'b' } as const;
  const tokenOf = async (sasl: SaslLogin): Promise<string> => {
    const options = securityOptions({ sasl }).sasl as { oauthBearerProvider: () => Promise<{ value: string }> };
    return (await options.oauthBearerProvider()).value;
  };
  answers = [token('one'), token('two'), token('three')];
  expect(await Promise.all([tokenOf(login), tokenOf({ ...login }), tokenOf(login)])).toEqual(['one', 'one', 'one']);
  expect(asked).toBe(1);
  expect([await tokenOf({ ...login, clientSecret: 'c' }), await tokenOf({ ...login, scope: 'log' })]).toEqual(['two', 'three']);
  expect(await tokenOf(login)).toBe('one');
});
