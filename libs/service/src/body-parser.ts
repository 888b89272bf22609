import type { FastifyInstance } from 'fastify';
import { MediaTypeUnsupported } from './request.errors.js';

/**
 * Bodies arrive as bytes. A route marked `@RouteConfig({ rawBody: true })` gets them as they are, whatever the content type, so that a signature
 * is judged before anything is parsed; every other route gets parsed JSON.
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
