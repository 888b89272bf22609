import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ModelGateway } from '../../model-gateway.js';
import type { ModelRequest } from '../../model-provider.js';
import { mostHeldBytes, mostStreamBytes } from './body-limits.js';
import { OpenAiProvider } from './openai.provider.js';

/** What sockets and streams may hold between the server's write and the client's read. */
const slackBytes = 24 * 1024 ** 2;
const request: ModelRequest = { model: 'm', turns: [], schema: { name: 's', schema: {}, strict: false } };
const signal = AbortSignal.any([]);
const piece = Buffer.from('x'.repeat(65_536));

let server: Server;
let provider: OpenAiProvider;
let baseUrl: string;
let respond: (response: ServerResponse) => void;
let acceptedHeader: string | undefined;
/** What the client has taken of each response whose connection is closed. */
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

  const content = JSON.stringify({ model: 'm', choices: [{ delta: { content: piece.toString() } }] });
  const stops = [
    ['a stream whose event has no end', piece, mostHeldBytes],
    ['a stream whose event has lines without end', Buffer.from(`data: ${piece.toString()}\n`), mostHeldBytes],
    ['a stream without end', Buffer.from(`data: ${content}\n\n`), mostStreamBytes],
    ['a stream without end, with CRLF', Buffer.from(`data: ${content}\r\n\r\n`), mostStreamBytes],
    ['a stream of comments without end', Buffer.from(`: ${piece.toString()}\n\n`), mostStreamBytes],
  ] as const;
  test.each(stops)('%s', async (_, event, limit) => {
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-request-id': 'req_1' });
      write(response, event);
    };
    expect(await drain()).toMatchObject({
      code: 'model.answerTooLarge',
      message: `The answer is larger than ${limit / 1024 ** 2} MiB, and was not read further`,
      providerRequestId: 'req_1',
    });
    expect(await closed).toBeLessThan(limit + slackBytes);
  });
});

test('a stream of many small events that is longer than what is held is read to its end', async () => {
  const event = (body: object): string => `data: ${JSON.stringify({ model: 'm', ...body })}\n\n`;
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

test('an answer that comes byte by byte ends with the deadline', async () => {
  respond = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const drip = setInterval(() => response.write(' '), 5);
    response.on('close', () => clearInterval(drip));
  };
  const gateway = new ModelGateway({ provider: new OpenAiProvider({ baseUrl, apiKey: 'key' }) });
  const asked = {
    model: 'm',
    instructions: 'Judge.',
    input: 'x',
    outputSchema: {},
    schemaName: 's',
    timeoutMs: 200,
    onAttempt: async () => {},
  };
  await expect(gateway.infer(asked)).rejects.toMatchObject({
    code: 'model.unavailable',
    message: 'The model did not answer within 200 ms',
  });
  await closed;
  await gateway.close();
});

test('a provider is asked not to compress its answer', async () => {
  respond = (response) => response.writeHead(400, { 'content-type': 'application/json' }).end('{}');
  await complete();
  expect(acceptedHeader).toBe('identity');
});
