import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyInstance } from 'fastify';

/** Smaller responses fit into a few packets, and compressing them costs more than it saves. */
const smallestBytes = 4_096;
const compressible = /^(?:text\/|application\/(?:[\w.-]+\+)?(?:json|javascript)\b|image\/svg)/i;

type Compress = (body: string | Buffer, done: (error: Error | null, compressed: Buffer) => void) => void;

/** In the order of preference. At these levels both cost about the same, in the thread pool and not in the event loop. */
const compressors: Readonly<Record<string, Compress>> = {
  br: (body, done) => brotliCompress(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }, done),
  gzip: (body, done) => gzip(body, { level: 4 }, done),
};

/** Compresses the larger text responses of Nest's routes for callers that accept it (RFC 9110 §12.5.3). Streams pass through. */
export function compressResponses(fastify: FastifyInstance): void {
  fastify.addHook('onSend', (request, reply, payload, done) => {
    const isBody = typeof payload === 'string' || Buffer.isBuffer(payload);
    if (!isBody || Buffer.byteLength(payload) < smallestBytes || reply.hasHeader('content-encoding')) return done(null, payload);
    if (!compressible.test(String(reply.getHeader('content-type')))) return done(null, payload);
    const vary = reply.getHeader('vary');
    void reply.header('vary', vary === undefined ? 'accept-encoding' : `${String(vary)}, accept-encoding`);
    const encoding = preferredEncoding(request.headers['accept-encoding']);
    if (encoding === undefined) return done(null, payload);
    void reply.header('content-encoding', encoding).removeHeader('content-length');
    compressors[encoding]!(payload, done);
  });
}

/** The encoding of ours with the highest weight in the header; undefined if none is accepted. */
export function preferredEncoding(header: string | string[] | undefined): string | undefined {
  const weights = new Map<string, number>();
  for (const part of String(header ?? '')
    .toLowerCase()
    .split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim());
    const weight = parameters.find((text) => text.startsWith('q='));
    weights.set(name, weight === undefined ? 1 : Number(weight.slice(2)) || 0);
  }
  const weightOf = (name: string): number => weights.get(name) ?? weights.get('*') ?? 0;
  const [best] = Object.keys(compressors).toSorted((a, b) => weightOf(b) - weightOf(a));
  return best !== undefined && weightOf(best) > 0 ? best : undefined;
}
