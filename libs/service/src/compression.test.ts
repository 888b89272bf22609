import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import fastify from 'fastify';
import { describe, expect, test } from 'vitest';
import { compressResponses, preferredEncoding } from './compression.js';

describe('the encoding', () => {
  test.each([
    ['gzip, deflate, br', 'br'],
    ['gzip', 'gzip'],
    ['br;q=0.5, gzip', 'gzip'],
    ['GZIP;Q=0.9', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *;q=0.1', 'gzip'],
    ['gzip;q=0', undefined],
    ['identity', undefined],
    ['gzip;q=nonsense', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('for %j is %s', (header, expected) => {
    expect(preferredEncoding(header)).toBe(expected);
  });
});

describe('a response', () => {
  const large = JSON.stringify({ text: 'ä'.repeat(10_000) });
  async function answer(acceptEncoding: string | undefined, body: string | Buffer = large, type = 'application/json', vary?: string) {
    const server = fastify();
    compressResponses(server);
    server.get('/', (_request, reply) => {
      if (vary !== undefined) void reply.header('vary', vary);
      return reply.type(type).send(body);
    });
    return server.inject({ url: '/', headers: acceptEncoding === undefined ? {} : { 'accept-encoding': acceptEncoding } });
  }

  test.each([
    ['br', brotliDecompressSync],
    ['gzip', gunzipSync],
  ])('that is large is sent as %s to who accepts it, with its length, and is the same text', async (encoding, decompress) => {
    const { headers, rawPayload } = await answer(encoding);
    expect([headers['content-encoding'], headers['vary'], headers['content-length']]).toEqual([
      encoding,
      'accept-encoding',
      String(rawPayload.length),
    ]);
    expect(rawPayload.length).toBeLessThan(large.length / 10);
    expect(decompress(rawPayload).toString()).toBe(large);
  });

  test('is sent as it is to who accepts no encoding, and says that it depends on that', async () => {
    const { headers, body } = await answer(undefined, large, 'application/graphql-response+json', 'origin');
    expect([headers['content-encoding'], headers['vary'], body]).toEqual([undefined, 'origin, accept-encoding', large]);
  });

  test('that is small, or is no text, is sent as it is', async () => {
    expect((await answer('gzip', '{}')).headers).not.toHaveProperty('content-encoding');
    expect((await answer('gzip', Buffer.alloc(10_000), 'application/octet-stream')).headers).not.toHaveProperty('content-encoding');
  });
});
