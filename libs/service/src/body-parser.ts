import type { FastifyInstance } from 'fastify';
import { MediaTypeUnsupported } from './request.errors.js';

/**
 * Makes Fastify read bodies as bytes. A route with `@RouteConfig({ rawBody: true })` gets the bytes of any content type unparsed, so that it can
 * verify a signature first. Every other route gets parsed JSON, and refuses other content types.
 */
export function readBodies(fastify: FastifyInstance): void {
  const parseJson = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    const raw = (request.routeOptions.config as { rawBody?: boolean }).rawBody === true;
    if (raw || body.length === 0) return done(null, raw ? body : undefined);
    if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(request.headers['content-type'] ?? '')) {
      return done(new MediaTypeUnsupported(request.headers['content-type'], 'application/json'));
    }
    void parseJson(request, body.toString('utf8'), done);
  });
}
