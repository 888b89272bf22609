import { connect } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start } from './start.js';
import type { RunningService } from './start.js';

let service: RunningService;
beforeAll(async () => {
  service = await start({ service: 'test', host: '127.0.0.1', port: 0, modules: [] });
});
afterAll(() => service.stop());

/** Sends the bytes over a connection of their own, and reads the response to its end. */
async function exchange(request: string): Promise<{ status: number; type: string | undefined; body: string }> {
  const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
  socket.write(Buffer.from(request, 'latin1'));
  const response = await textOf(socket);
  const [head = '', body = ''] = response.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), type: /^content-type: ([^;\r]*)/im.exec(head)?.[1], body };
}

/** The targets go to Nest, to the addresses of operations, and to nothing. */
const targets = ['/graphql', '/healthz', '/nothing'];
const lines = (...all: string[]): string => `${all.join('\r\n')}\r\n\r\n`;

describe.each(targets)('a request to %s that no part of the process should see is answered as a problem:', (target) => {
  const get = `GET ${target} HTTP/1.1`;
  const post = `POST ${target} HTTP/1.1`;
  const close = 'connection: close';
  test.each([
    ['two Host headers', lines(get, 'host: a', 'Host: b', close), 400, 'request.malformed'],
    ['no Host header', lines(get, close), 400, 'request.malformed'],
    [
      'a transfer coding besides chunked',
      `${lines(post, 'host: a', close, 'transfer-encoding: gzip, chunked')}0\r\n\r\n`,
      501,
      'request.transferCoding',
    ],
    ['two lengths', lines(post, 'host: a', 'content-length: 1', 'content-length: 2'), 400, 'request.malformed'],
    ['a length and chunks', lines(post, 'host: a', 'content-length: 1', 'transfer-encoding: chunked'), 400, 'request.malformed'],
    ['a header that is none', lines(get, 'host: a', 'no header'), 400, 'request.malformed'],
    ['a head that is too large', lines(get, 'host: a', `x: ${'x'.repeat(20_000)}`), 431, 'request.headTooLarge'],
    ['a head of too many headers', lines(get, 'host: a', ...Array.from({ length: 2_100 }, () => 'x:')), 431, 'request.headTooLarge'],
    ['another protocol', lines('\u0016\u0003\u0001 hello'), 400, 'request.malformed'],
  ])('%s', async (_, request, status, code) => {
    const response = await exchange(request);
    expect([response.status, response.type]).toEqual([status, 'application/problem+json']);
    expect(JSON.parse(response.body)).toMatchObject({ status, code });
  });
});

test.each([
  ['/%00%ff', 400, 'request.malformed'],
  ['/%', 400, 'request.malformed'],
  ['/nothing', 404, 'request.notFound'],
])('an address that the router refuses is answered as a problem: %s', async (target, status, code) => {
  const response = await exchange(lines(`GET ${target} HTTP/1.1`, 'host: a', 'connection: close'));
  expect([response.status, response.type]).toEqual([status, 'application/problem+json']);
  expect(JSON.parse(response.body)).toMatchObject({ status, code });
});

test('an expectation that nobody knows is ignored', async () => {
  expect((await exchange(lines('GET /healthz HTTP/1.1', 'host: a', 'expect: the-unexpected', 'connection: close'))).status).toBe(200);
});

test('HTTP/1.0 needs no Host header', async () => {
  expect((await exchange(lines('GET /healthz HTTP/1.0'))).status).toBe(200);
});
