import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { OpenAI } from 'openai';
import { expect, test } from 'vitest';
import type { ModelRequest } from '../../model-provider.js';
import { OpenAiProvider } from './openai.provider.js';

const request: ModelRequest = { model: 'm', turns: [{ role: 'user', content: 'x' }], schema: { name: 's', schema: {}, strict: true } };
const { signal } = new AbortController();

test('a key that the provider repeats in its refusal is in no failure', async () => {
  const server = createServer((call, response) => {
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: { message: `Incorrect API key provided: ${call.headers.authorization}` } }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const provider = new OpenAiProvider({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: 'key-of-the-test' });
  const failure = await provider.complete(request, { signal, timeoutMs: 5_000 }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'model.credential', message: expect.stringContaining('[redacted]') as string });
  expect(inspect(failure, { depth: Infinity })).not.toContain('key-of-the-test');
  await provider.close();
  server.close();
});

test.each(['/v1', '/v1?version=2'])('every request to %s is the one that the SDK sends by itself, uncompressed', async (path) => {
  const received: { url: string; body: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((call, response) => {
    const { connection: _, 'accept-language': _language, 'sec-fetch-mode': _mode, ...headers } = call.headers; // of the HTTP clients
    void text(call).then((body) => {
      received.push({ url: call.url!, body, headers });
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[{"message":{"content":"{}"}}]}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const options = { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, apiKey: 'key' };
  const provider = new OpenAiProvider(options);
  const sdk = new OpenAI({ baseURL: options.baseUrl, apiKey: options.apiKey, maxRetries: 0 });
  for (const [temperature, timeoutMs] of [
    [0, 61_000],
    [1, 61_000],
    [0, 90_000],
  ] as const) {
    await provider.complete({ ...request, temperature }, { signal, timeoutMs });
    const { model, turns, schema } = request;
    const body = { model, messages: [...turns], response_format: { type: 'json_schema' as const, json_schema: schema }, temperature };
    await sdk.chat.completions.create(body, { timeout: timeoutMs });
    const [ours, theirs] = received.splice(0);
    expect(ours).toEqual({ ...theirs, headers: { ...theirs!.headers, 'accept-encoding': 'identity' } });
  }
  await provider.close();
  server.closeAllConnections();
  server.close();
});

test.each(['complete', 'stream'] as const)('a call whose connection does not come about is ended by its signal: %s', async (kind) => {
  const silent = createTcpServer(); // never answers the handshake
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const baseUrl = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`;
  const provider = new OpenAiProvider({ baseUrl, apiKey: 'key' });
  const stop = new AbortController();
  const options = { signal: stop.signal, timeoutMs: 60_000 };
  const call = kind === 'complete' ? provider.complete(request, options) : provider.stream(request, options)[Symbol.asyncIterator]().next();
  const connected = once(silent, 'connection') as Promise<[Socket]>;
  void connected.then(() => stop.abort(new Error('the deadline')));
  await expect(call).rejects.toThrow('the deadline');
  const [socket] = await connected;
  socket.destroy();
  silent.close();
  await provider.close();
});
