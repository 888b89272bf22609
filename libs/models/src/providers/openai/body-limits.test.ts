import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ModelRequest } from '../../model-provider.js';
import { mostHeldBytes, mostStreamBytes } from './body-limits.js';
import { OpenAiProvider } from './openai.provider.js';
import { Transport } from './transport.js';

/** Most of the bytes that sockets and streams hold between the server's write and the client's read. */
const slackBytes = 24 * 1024 ** 2;
const request: ModelRequest = { model: 'm', turns: [], schema: { name: 's', schema: {}, strict: false } };
const signal = AbortSignal.any([]);
const piece = Buffer.from('x'.repeat(65_536));

let server: Server;
let provider: OpenAiProvider;
let baseUrl: string;
let respond: (response: ServerResponse) => void;
let acceptedHeader: string | undefined;
/** The bytes that were sent to the client, once the connection of the first response is closed. */
let closed: Promise<number>;

beforeEach(async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  closed = promise;
  server = createServer((call, response) => {
    acceptedHeader = call.headers['accept-encoding'];
    const { socket } = response;
    response.on('close', () => resolve(socket!.bytesWritten));
    call.resume().on('end', () => respond(response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  provider = new OpenAiProvider({ baseUrl, apiKey: 'key' });
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await provider.close();
});

/** Writes the piece as often as the client takes it, at most `times`. */
function write(response: ServerResponse, what: Buffer, times = Infinity): void {
  let left = times;
  const more = (): void => {
    while (left > 0 && !response.destroyed) {
      left -= 1;
      if (!response.write(what)) return;
    }
    response.end();
  };
  response.on('drain', more);
  more();
}

const complete = async (): Promise<unknown> => provider.complete(request, { signal, timeoutMs: 60_000 }).catch((error: unknown) => error);
const drain = async (): Promise<unknown> => {
  try {
    for await (const event of provider.stream(request, { signal, timeoutMs: 60_000 })) expect(event.type).toBe('delta');
    return undefined;
  } catch (error) {
    return error;
  }
};

describe('an answer that is too large is not read further, and its connection is closed', () => {
  test.each([
    ['a body of 100 MB', Math.ceil(100_000_000 / piece.length)],
    ['a body without end', Infinity],
  ])('%s', async (_, times) => {
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'req_1' });
      write(response, piece, times);
    };
    expect(await complete()).toMatchObject({
      code: 'model.answerTooLarge',
      message: 'The answer is larger than 8 MiB, and was not read further',
      providerRequestId: 'req_1',
    });
    expect(await closed).toBeLessThan(mostHeldBytes + slackBytes);
  });

  test('an error without end keeps the class of its status', async () => {
    respond = (response) => {
      response.writeHead(401, { 'content-type': 'text/event-stream' });
      write(response, piece);
    };
    expect(await complete()).toMatchObject({ code: 'model.credential' });
    expect(await closed).toBeLessThan(slackBytes);
  });

  const stops = [
    ['a stream whose event has no end', piece],
    ['a stream whose event has lines without end', Buffer.from(`data: ${piece.toString()}\n`)],
  ] as const;
  test.each(stops)('%s', async (_, event) => {
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': 'req_1' });
      write(response, event);
    };
    expect(await drain()).toMatchObject({
      code: 'model.answerTooLarge',
      message: 'The answer is larger than 8 MiB, and was not read further',
      providerRequestId: 'req_1',
    });
    expect(await closed).toBeLessThan(mostHeldBytes + slackBytes);
  });

  test('a stream of events without end', async () => {
    respond = (response) =>
      write(response.writeHead(200, { 'content-type': 'text/event-stream' }), Buffer.from(`data: ${piece.toString()}\n\n`));
    const transport = new Transport(['key']); // without the SDK, which parses slowly
    const { body } = await transport.fetch(baseUrl, { method: 'POST', body: '{}' });
    const read = async (): Promise<void> => {
      for await (const chunk of body!) expect(chunk.length).toBeGreaterThan(0);
    };
    await expect(read()).rejects.toMatchObject({
      code: 'model.answerTooLarge',
      message: 'The answer is larger than 64 MiB, and was not read further',
    });
    expect(await closed).toBeLessThan(mostStreamBytes + slackBytes);
    await transport.close();
  });
});

test.each([
  ['empty lines', '\n\n'],
  ['empty lines with CRLF', '\r\n\r\n'],
  ['comments', '\n\n: \n\n'],
])('a stream with %s that is longer than what is held is read to its end', async (_, separator) => {
  const event = (body: object): string => `data: ${JSON.stringify({ model: 'm', ...body })}${separator}`;
  const text = 'x'.repeat(1_024 ** 2);
  respond = (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let each = 0; each < 10; each += 1) response.write(event({ choices: [{ delta: { content: text } }] }));
    response.end(`${event({ choices: [{ delta: {}, finish_reason: 'stop' }] })}data: [DONE]\n\n`);
  };
  let length = 0;
  for await (const each of provider.stream(request, { signal, timeoutMs: 60_000 })) if (each.type === 'delta') length += each.text.length;
  expect(length).toBe(10 * text.length);
});

test('an answer that comes byte by byte ends by the signal, and its connection is closed', async () => {
  const stop = new AbortController();
  const reason = new DOMException('The deadline has passed', 'TimeoutError');
  let left = 20;
  respond = (response) => {
    const drip = (): void => {
      left -= 1;
      if (left === 0) stop.abort(reason);
      else response.write(' ', () => setImmediate(drip));
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    drip();
  };
  await expect(provider.complete(request, { signal: stop.signal, timeoutMs: 60_000 })).rejects.toBe(reason);
  await closed;
});

test('a provider is asked not to compress its answer', async () => {
  respond = (response) => response.writeHead(400, { 'content-type': 'application/json' }).end('{}');
  await complete();
  expect(acceptedHeader).toBe('identity');
});
