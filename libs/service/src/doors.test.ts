import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import type { Duplex, Writable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { registry } from '#libs/tracing';
import { BodyReader } from './body-reader.js';
import type { BodyLimits } from './body-reader.js';
import { Doors } from './doors.js';
import type { DoorRequest, DoorResponse, DoorStream } from './doors.js';
import { Operations } from './operations.js';
import { Readiness } from './readiness.js';
import { AddressNotFound } from './request.errors.js';

const limitBytes = 100;
const limitsOfBodies: BodyLimits = { limitBytes, bufferBytes: 1_000, timeoutMs: 60_000, minBytesPerSecond: 1 };
const bodies = new BodyReader(limitsOfBodies);
let doors: Doors;
let readiness: Readiness;
let server: Server;
let url: string;
let received: DoorRequest[];
let answer: () => Promise<DoorResponse | DoorStream>;

beforeEach(async () => {
  received = [];
  answer = async () => ({ status: 202, body: { taken: true } });
  readiness = new Readiness();
  doors = new Doors('test', bodies, new Operations(readiness));
  const admit = async () => (request: DoorRequest) => {
    received.push(request);
    return answer();
  };
  doors.open({ path: '/below/', route: '/below/:address', admit });
  doors.open({ path: '/exact', route: '/exact', admit });
  doors.open({
    path: '/handshakes/',
    route: '/handshakes',
    admit,
    otherMethods: (address) => (address === 'known' ? ['GET', 'HEAD'] : []),
  });
  doors.unlock();
  await serve();
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** Listens with the doors as they are. */
async function serve(): Promise<void> {
  server = doors.server((_request, response) => response.writeHead(404).end('others'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const post = (path: string, body: string | Buffer = '{}') => fetch(url + path, { method: 'POST', body });

describe('a door', () => {
  test.each([
    ['/below/acme.stripe', 'acme.stripe'],
    ['/below/acme%2Estripe?a=%zz', 'acme.stripe'],
    ['/below/', ''],
    ['/exact?a=1', ''],
  ])('is at %s, with the address %j', async (path, address) => {
    const response = await post(path, 'bytes');
    expect([response.status, await response.json()]).toEqual([202, { taken: true }]);
    expect(received).toMatchObject([{ address, rawBody: Buffer.from('bytes') }]);
  });

  test.each(['/', '/below', '/exact/', '/exactly', '/other'])('is not at %s', async (path) => {
    expect(await (await post(path)).text()).toBe('others');
  });

  test('is found by an absolute address too', async () => {
    const outgoing = httpRequest(url, { method: 'POST', path: `${url}/below/acme.stripe` }).end();
    await once(outgoing, 'response');
    expect(received).toMatchObject([{ address: 'acme.stripe' }]);
  });

  test('hears who sent no body, and gets the pieces of one together', async () => {
    await post('/exact', '');
    const outgoing = httpRequest(`${url}/exact`, { method: 'POST' });
    outgoing.write('one, ');
    outgoing.end('two');
    await once(outgoing, 'response');
    expect(received.map(({ rawBody }) => String(rawBody))).toEqual(['', 'one, two']);
  });

  test('says text as it is', async () => {
    answer = async () => ({ status: 200, body: 'chällenge' });
    const response = await post('/exact');
    expect([response.headers.get('content-type'), await response.text()]).toEqual(['text/plain; charset=utf-8', 'chällenge']);
  });

  test('gets other methods than POST at the addresses for which it lists them', async () => {
    answer = async () => ({ status: 200, body: 'challenge' });
    const got = await fetch(`${url}/handshakes/known?token=t`);
    expect([got.status, await got.text()]).toEqual([200, 'challenge']);
    expect(received).toMatchObject([{ method: 'GET', target: '/handshakes/known?token=t', address: 'known' }]);
    const head = await fetch(`${url}/handshakes/known`, { method: 'HEAD' });
    expect([head.status, await head.text(), head.headers.get('content-length')]).toEqual([200, '', '9']);
    const refused = await fetch(`${url}/handshakes/known`, { method: 'PUT' });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'POST, GET, HEAD']);
    expect((await fetch(`${url}/handshakes/unknown`)).headers.get('allow')).toBe('POST');
  });

  test('can answer without a body', async () => {
    answer = async () => ({ status: 204, body: '' });
    const response = await post('/exact');
    expect([response.status, response.headers.get('content-length'), response.headers.get('content-type')]).toEqual([204, null, null]);
  });

  test('is counted under its route, whatever the address', async () => {
    await post('/below/unheard-of');
    const text = await registry.metrics();
    expect(text).toMatch(
      /http_request_duration_seconds_count\{.*service="test",method="POST",route="\/below\/:address",status="202"\} [1-9]/,
    );
    expect(text).not.toContain('unheard-of');
  });
});

describe('a response that is written piece by piece', () => {
  const headers = { 'content-type': 'text/event-stream' };

  test('begins before its end is known, and is counted when it has ended', async () => {
    const end = Promise.withResolvers<void>();
    const write = async (body: Writable): Promise<void> => {
      body.write('one, ');
      await end.promise;
      body.end('two');
    };
    answer = async () => ({ status: 200, headers, write });
    const response = await post('/below/streamed');
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    end.resolve();
    expect(await response.text()).toBe('one, two');
  });

  test('is broken off where it fails, and the cause is kept', async () => {
    const write = async (body: Writable): Promise<void> => {
      body.write('one, ');
      await Promise.reject(new Error('the password is hunter2'));
    };
    answer = async () => ({ status: 200, headers, write });
    await expect((await post('/exact')).text()).rejects.toThrow('terminated');
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test('is written also to a caller who has left, whose connection is closed', async () => {
    const asked = Promise.withResolvers<void>();
    const begin = Promise.withResolvers<void>();
    const left = Promise.withResolvers<boolean>();
    const write = async (body: Writable): Promise<void> => left.resolve(body.destroyed);
    answer = async () => {
      asked.resolve();
      await begin.promise;
      return { status: 200, headers, write };
    };
    const leaving = new AbortController();
    const gone = new Promise((resolve) => server.once('connection', (socket: Socket) => socket.once('close', resolve)));
    const response = fetch(`${url}/exact`, { method: 'POST', body: '{}', signal: leaving.signal }).catch(() => undefined);
    await asked.promise;
    leaving.abort();
    await Promise.all([response, gone]);
    begin.resolve();
    expect(await left.promise).toBe(true);
  });
});

describe('refused, as a problem, is', () => {
  const problem = async (response: Response) => {
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const { status, code } = (await response.json()) as { status: number; code?: string };
    expect(status).toBe(response.status);
    return [status, code];
  };

  test('another method than POST', async () => {
    const response = await fetch(`${url}/exact`);
    expect(await problem(response)).toEqual([405, 'request.methodNotAllowed']);
    expect(response.headers.get('allow')).toBe('POST');
  });

  test('an address that cannot be decoded', async () => {
    expect(await problem(await post('/below/%zz'))).toEqual([400, 'request.malformed']);
  });

  test('a body that is too large, by one byte', async () => {
    expect((await post('/exact', 'x'.repeat(limitBytes))).status).toBe(202);
    expect(await problem(await post('/exact', 'x'.repeat(limitBytes + 1)))).toEqual([413, 'request.tooLarge']);
    const inPieces = new ReadableStream({
      start(controller) {
        for (let piece = 0; piece < 2; piece += 1) controller.enqueue(new Uint8Array(limitBytes));
        controller.close();
      },
    });
    const options = { method: 'POST', body: inPieces, duplex: 'half' };
    expect(await problem(await fetch(`${url}/exact`, options as RequestInit))).toEqual([413, 'request.tooLarge']);
    expect(received).toHaveLength(1);
  });

  test('a body that is announced too large, before any of it is sent', async () => {
    const { response, socket } = await begun(`content-length: ${limitBytes + 1}`);
    expect(await response).toMatch(/^HTTP\/1.1 413 .*connection: close/is);
    socket.destroy();
  });

  test.each(['gzip', 'br, identity'])('a body with the content encoding %s', async (coding) => {
    const response = await fetch(`${url}/exact`, { method: 'POST', body: '{}', headers: { 'content-encoding': coding } });
    expect(response.headers.get('accept-encoding')).toBe('identity');
    expect(await problem(response)).toEqual([415, 'request.unsupportedMediaType']);
    expect((await fetch(`${url}/exact`, { method: 'POST', body: '{}', headers: { 'content-encoding': 'identity' } })).status).toBe(202);
  });

  test('an unexpected error, without its cause', async () => {
    answer = () => Promise.reject(new Error('the password is hunter2'));
    const response = await post('/exact');
    expect(await response.clone().text()).not.toContain('hunter2');
    expect(await problem(response)).toEqual([500, undefined]);
  });
});

/** Sends the head of a request and the beginning of its body, and leaves the connection open. */
async function begun(header: string, body = '', path = '/exact') {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise((written) => socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${header}\r\n\r\n${body}`, written));
  const response = once(socket, 'data').then(([bytes]) => String(bytes));
  return { socket, response };
}

describe('a body', () => {
  /** The doors' server with other limits. */
  async function limited(limits: Partial<BodyLimits>): Promise<void> {
    const reader = new BodyReader({ ...limitsOfBodies, ...limits });
    doors = new Doors('test', reader, new Operations(readiness));
    doors.open({ path: '/exact', route: '/exact', admit: async () => () => answer() });
    doors.open({ path: '/closed', route: '/closed', admit: () => Promise.reject(new AddressNotFound()) });
    doors.guard({ path: '/guarded', refusal: async () => ({ status: 401, body: 'no key' }) });
    doors.unlock();
    server.close();
    await serve();
  }

  test.each([
    ['/closed', 404],
    ['/guarded', 401],
  ])('is not read if the head is refused: %s gets %i at once', async (path, status) => {
    await limited({});
    const { response, socket } = await begun('content-length: 99', 'the first bytes', path);
    expect(await response).toMatch(new RegExp(`^HTTP/1.1 ${status} .*connection: close`, 'is'));
    expect(await heldBytes()).toBe(0);
    socket.destroy();
  });

  test('is asked for with 100 Continue only if it is wanted', async () => {
    await limited({});
    const expecting = 'content-length: 4\r\nexpect: 100-continue';
    const refusedOne = await begun(expecting, '', '/closed');
    expect(await refusedOne.response).toMatch(/^HTTP\/1.1 404 /);
    const wanted = await begun(expecting);
    expect(await wanted.response).toMatch(/^HTTP\/1.1 100 Continue/);
    const next = once(wanted.socket, 'data');
    wanted.socket.write('body');
    expect(String((await next)[0])).toMatch(/^HTTP\/1.1 202 /);
    for (const { socket } of [refusedOne, wanted]) socket.destroy();
  });

  test.each([
    ['nothing comes any more', { minBytesPerSecond: 50 }],
    ['it does not end in time', { minBytesPerSecond: 0 }],
  ])('is given up when %s', async (_when, limits) => {
    await limited({ ...limits, timeoutMs: 200 });
    const { response, socket } = await begun('content-length: 99', 'the first bytes');
    expect(await response).toMatch(/^HTTP\/1.1 408 .*"code":"request.slow"/s);
    expect(await heldBytes()).toBe(0);
    socket.destroy();
  });

  test('is given up when it comes too slowly, long before its deadline, and not when it brings enough', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    try {
      await limited({ minBytesPerSecond: 1, timeoutMs: 240_000 });
      const silent = await begun('content-length: 99', 'the first bytes');
      const slow = await begun('content-length: 99', 'the first bytes');
      await expect.poll(heldBytes).toBe(30);
      vi.advanceTimersByTime(5_000);
      slow.socket.write('enough');
      await expect.poll(heldBytes).toBe(36);
      vi.advanceTimersByTime(5_000);
      expect(await silent.response).toMatch(/^HTTP\/1.1 408 .*"code":"request.slow"/s);
      expect(await heldBytes()).toBe(21);
      slow.socket.write('x'.repeat(78));
      expect(await slow.response).toMatch(/^HTTP\/1.1 202 /);
      for (const { socket } of [silent, slow]) socket.destroy();
    } finally {
      vi.useRealTimers();
    }
  });

  test('finds no room while others hold what there is, and finds it again afterwards', async () => {
    await limited({ bufferBytes: 2 * limitBytes });
    const holders = await Promise.all(Array.from({ length: 2 }, () => begun(`content-length: ${limitBytes}`, 'x'.repeat(limitBytes - 1))));
    await expect.poll(heldBytes).toBe(2 * limitBytes - 2);
    const announced = await post('/exact', 'more');
    expect([announced.status, announced.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await announced.json()).toMatchObject({ code: 'service.busy' });
    const inPieces = await begun('transfer-encoding: chunked', '4\r\nmore\r\n');
    expect(await inPieces.response).toMatch(/^HTTP\/1.1 503 /);
    for (const { socket } of [...holders, inPieces]) socket.destroy();
    await expect.poll(heldBytes).toBe(0);
    expect((await post('/exact', 'more')).status).toBe(202);
  });

  test('gives way, where there is no room, to one that comes after it, once it had two seconds', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    try {
      await limited({ bufferBytes: 2 * limitBytes });
      const [slow, slower] = await Promise.all([0, 1].map(() => begun(`content-length: ${limitBytes}`, 'x'.repeat(limitBytes - 1))));
      await expect.poll(heldBytes).toBe(2 * limitBytes - 2);
      vi.advanceTimersByTime(2_000);
      expect((await post('/exact', 'more')).status).toBe(202);
      expect(await Promise.race([slow!.response, slower!.response])).toMatch(/^HTTP\/1.1 503 .*retry-after: 1/is);
      await expect.poll(heldBytes).toBe(limitBytes - 1);
      for (const { socket } of [slow!, slower!]) socket.destroy();
    } finally {
      vi.useRealTimers();
    }
  });

  test('is held no longer than its request is at work, also if nobody reads the answer', async () => {
    await limited({});
    answer = async () => ({ status: 200, body: 'x'.repeat(1_000_000) }); // twenty of them are more than the kernel holds
    const { socket } = await begun('content-length: 4', 'body');
    socket.pause().write('POST /exact HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody'.repeat(20));
    await expect.poll(heldBytes).toBe(0);
    socket.destroy();
  });

  test.each([
    ['an extension of a chunk that does not end', `1;${'x'.repeat(20_000)}`, 400, 'request.malformed'],
    ['trailers that do not end', `1\r\nx\r\n0\r\n${'a: b\r\n'.repeat(4_000)}`, 431, 'request.headTooLarge'],
    ['a chunk of a length that is none', 'zz\r\n', 400, 'request.malformed'],
  ])('with %s is refused, and counted', async (_what, body, status, code) => {
    await limited({});
    const before = await unreadable(code);
    const { response, socket } = await begun('transfer-encoding: chunked', body);
    expect(await response).toMatch(new RegExp(`^HTTP/1.1 ${status} .*"code":"${code}"`, 's'));
    expect([await unreadable(code), await heldBytes()]).toEqual([before + 1, 0]);
    socket.destroy();
  });

  test('may not be larger than all bodies together', () => {
    expect(() => new BodyReader({ ...limitsOfBodies, bufferBytes: limitBytes - 1 })).toThrow('BODY_BUFFER_BYTES');
  });

  const heldBytes = async (): Promise<number> => Number(/^millrace_http_body_bytes (\d+)/m.exec(await registry.metrics())![1]);
});

/** A counter, by the value of its one label. */
async function counted(name: string, value: string): Promise<number> {
  return Number(new RegExp(`^${name}\\{\\w+="${value}"\\} (\\d+)`, 'm').exec(await registry.metrics())![1]);
}
const unreadable = (code: string): Promise<number> => counted('millrace_http_unreadable_total', code);

describe('what is taken at once', () => {
  /** The doors' server with limits of its own. */
  async function withLimits(limits: { connections: number; requests: number }): Promise<void> {
    server.close();
    doors = new Doors('test', bodies, new Operations(readiness), undefined, limits);
    doors.open({ path: '/exact', route: '/exact', admit: async () => () => answer() });
    doors.unlock();
    await serve();
  }

  /** From now on, requests wait for their answers until the result is called. */
  function held(): { readonly waiting: () => number; readonly release: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    let waiting = 0;
    answer = async () => {
      waiting += 1;
      await promise;
      return { status: 202, body: {} };
    };
    return { waiting: () => waiting, release: resolve };
  }

  const dial = async (): Promise<Socket> => {
    const accepted = once(server, 'connection');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
    await accepted;
    return socket;
  };
  const request = 'POST /exact HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}';

  test('is a number of requests: one more is told to come back, and operations are answered all the same', async () => {
    await withLimits({ connections: 100, requests: 2 });
    const { waiting, release } = held();
    const taken = [post('/exact'), post('/exact')];
    await expect.poll(waiting).toBe(2);
    const refused = await post('/exact');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({ code: 'service.busy' });
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    release();
    expect((await Promise.all(taken)).map(({ status }) => status)).toEqual([202, 202]);
    expect((await post('/exact')).status).toBe(202);
  });

  test('is a number of requests, of which a stream is one until it has ended, with its body', async () => {
    await withLimits({ connections: 100, requests: 1 });
    const heldBytes = async (): Promise<string> => /^millrace_http_body_bytes (\d+)/m.exec(await registry.metrics())![1]!;
    const writing = async (body: Writable): Promise<void> => void body.end('all');
    const failing = (): Promise<void> => Promise.reject(new Error('a defect')); // the connection is broken off
    for (const finish of [writing, failing]) {
      const ended = Promise.withResolvers<void>();
      answer = async () => ({ status: 200, headers: {}, write: (body) => ended.promise.then(() => finish(body)) });
      const streamed = await post('/exact', 'body');
      expect([(await post('/exact')).status, await heldBytes()]).toEqual([503, '4']);
      ended.resolve();
      await streamed.text().catch(() => undefined);
      answer = async () => ({ status: 202, body: {} });
      expect([(await post('/exact')).status, await heldBytes()]).toEqual([202, '0']);
    }
  });

  test('is some of the requests that a connection sends before it is answered', async () => {
    const { waiting, release } = held();
    await withLimits({ connections: 100, requests: 1_000 });
    const socket = await dial();
    const response = textOf(socket);
    socket.write(request.repeat(100));
    await expect.poll(waiting).toBe(65);
    release();
    const statuses = (await response).match(/(?<=HTTP\/1.1 )\d+/g)!;
    expect(statuses).toEqual([...Array.from({ length: 65 }, () => '202'), '503']);
  });

  test('is a number of connections: for a new one, that goes on which the last request began the longest time ago, if it waits for us no more', async () => {
    await withLimits({ connections: 3, requests: 100 });
    const before = await counted('millrace_http_connections_closed_total', 'idle');
    const silent = await dial();
    const slow = await dial();
    const idle = await dial();
    silent.write('POST /exact HTTP/1.1\r\n'); // bytes of a head are no request
    const begunAt = once(server, 'request');
    slow.write(request.slice(0, -1)); // nor is one whose body has not ended
    await begunAt;
    idle.write(request);
    await once(idle, 'data');
    const closed = [silent, slow].map((socket) => once(socket, 'close'));
    const { waiting, release } = held();
    const taken = [post('/exact'), post('/exact')];
    await Promise.all(closed);
    await expect.poll(waiting).toBe(2);
    release();
    expect((await Promise.all(taken)).map(({ status }) => status)).toEqual([202, 202]);
    expect(await counted('millrace_http_connections_closed_total', 'idle')).toBe(before + 2);
    idle.destroy();
  });

  test('is no further connection where a request is under way on every one', async () => {
    await withLimits({ connections: 2, requests: 100 });
    const before = await counted('millrace_http_connections_closed_total', 'full');
    const { waiting, release } = held();
    const taken = [post('/exact'), post('/exact')];
    await expect.poll(waiting).toBe(2);
    const further = await dial();
    await once(further, 'close');
    expect(await counted('millrace_http_connections_closed_total', 'full')).toBe(before + 1);
    release();
    expect((await Promise.all(taken)).map(({ status }) => status)).toEqual([202, 202]);
  });

  test('does not stay for ever: a connection is closed if nobody reads its answers, and not while it waits for one', async () => {
    await withLimits({ connections: 100, requests: 100 });
    server.timeout = 100;
    const { waiting, release } = held();
    const patient = post('/exact');
    await expect.poll(waiting).toBe(1);
    const before = await counted('millrace_http_connections_closed_total', 'unread');
    answer = async () => ({ status: 200, body: 'x'.repeat(1_000_000) }); // twenty of them are more than the kernel holds
    const deaf = (await dial()).pause();
    deaf.write(request.repeat(20));
    await expect.poll(() => counted('millrace_http_connections_closed_total', 'unread'), { timeout: 20_000 }).toBe(before + 1);
    deaf.destroy();
    release();
    expect((await patient).status).toBe(202);
  });
});

describe('a request that asks for another protocol', () => {
  /** The whole response to a request, over a connection of its own. */
  const exchange = async (head: string, body = ''): Promise<string> => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.end(`${head}\r\nhost: x\r\nconnection: upgrade, close\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    return textOf(socket);
  };

  test.each(['h2c', 'websocket', 'TLS/1.0', 'nothing'])('is answered as if it did not, when it asks for %s', async (protocol) => {
    expect(await exchange(`POST /exact HTTP/1.1\r\nupgrade: ${protocol}`, 'body')).toMatch(/^HTTP\/1.1 202 /);
    expect(received).toMatchObject([{ rawBody: Buffer.from('body') }]);
    expect(await exchange(`GET /elsewhere HTTP/1.1\r\nupgrade: ${protocol}`)).toMatch(/^HTTP\/1.1 404 /);
    expect(await exchange(`GET /healthz HTTP/1.1\r\nupgrade: ${protocol}`)).toMatch(/^HTTP\/1.1 200 /);
  });

  test('reaches a door for sockets at its path, and a reset there harms nobody', async () => {
    const { promise: accepted, resolve: accept } = Promise.withResolvers<Duplex>();
    doors.openSocket({ path: '/socket', accept: (_request, socket) => accept(socket) });
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    client.write('GET /socket?a=1 HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\r\n');
    const socket = await accepted;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    client.resetAndDestroy();
    await closed;
    expect((await post('/exact', 'after it')).status).toBe(202);
  });
});

test('a connection that cannot be accepted does not end the process', () => {
  expect(() => server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }))).not.toThrow();
});

test('a caller that goes away before its body ends is heard by no door', async () => {
  const gone = new Promise((resolve) => server.once('connection', (socket: Socket) => socket.once('close', resolve)));
  const { port } = server.address() as AddressInfo;
  const socket = connect(port, '127.0.0.1');
  socket.write('POST /exact HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf', () => socket.destroy());
  await gone;
  await post('/exact', 'whole');
  expect(received.map(({ rawBody }) => String(rawBody))).toEqual(['whole']);
});

test('a server that stops answers what it has, and lets go of the connection', async () => {
  const { promise: stopping, resolve: stopped } = Promise.withResolvers<void>();
  answer = async () => {
    await stopping;
    return { status: 200, body: 'late' };
  };
  const first = post('/exact');
  await expect.poll(() => received.length).toBe(1);
  const closed = new Promise((resolve) => server.close(resolve));
  stopped();
  expect(await (await first).text()).toBe('late');
  await closed;
});

test('a connection without a request is let go after a while', async () => {
  server.keepAliveTimeout = 1;
  server.keepAliveTimeoutBuffer = 0;
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
  expect(await textOf(socket)).toMatch(/^HTTP\/1.1 200 /);
});

describe('while the process still starts', () => {
  const everybody = ['/exact', '/below/acme.stripe', '/graphql'];

  beforeEach(async () => {
    doors = new Doors('test', bodies, new Operations(readiness));
    server.close();
    await serve();
  });

  test.each(everybody)('who knocks at %s is told to come back', async (path) => {
    const response = await post(path, 'x'.repeat(limitBytes + 1));
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await response.json()).toMatchObject({ code: 'service.starting' });
  });

  test('operations are answered: that it lives, and what it waits for', async () => {
    readiness.register('log', () => Promise.reject(new Error('nobody listens')));
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const ready = await fetch(`${url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'unavailable', parts: { log: 'nobody listens' } }]);
    expect((await fetch(`${url}/metrics`, { method: 'HEAD' })).status).toBe(200);
    expect((await post('/healthz')).status).toBe(405);
  });
});
