import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { OpenAiProvider } from './openai.provider.js';

test('a key that the provider repeats in its refusal is in no failure', async () => {
  const server = createServer((request, response) => {
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message: `Incorrect API key provided: ${request.headers.authorization}` } }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const provider = new OpenAiProvider({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: 'key-of-the-test' });
  const request = { model: 'm', turns: [{ role: 'user' as const, content: 'x' }], schema: { name: 's', schema: {}, strict: true } };
  const { signal } = new AbortController();
  const failure = await provider.complete(request, { signal, timeoutMs: 5_000 }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'model.credential', message: expect.stringContaining('[redacted]') as string });
  expect(inspect(failure, { depth: Infinity })).not.toContain('key-of-the-test');
  await provider.close();
  server.close();
});
