import type { FastifyInstance } from 'fastify';
import { JsonTooDeep, mapLosslessNumbers, parseJson, scanJson } from '#libs/contracts';
import { MediaTypeUnsupported, RequestMalformed } from './request.errors.js';

/**
 * Makes Fastify read bodies as bytes. A route with `@RouteConfig({ rawBody: true })` gets the bytes of any content type unparsed, so that it can
 * verify a signature first. Every other route gets parsed JSON, and refuses other content types. A number is a `LosslessNumber` if no double is equal
 * to it.
 */
export function readBodies(fastify: FastifyInstance): void {
  const parseSafely = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    const raw = (request.routeOptions.config as { rawBody?: boolean }).rawBody === true;
    if (raw || body.length === 0) return done(null, raw ? body : undefined);
    if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(request.headers['content-type'] ?? '')) {
      return done(new MediaTypeUnsupported(request.headers['content-type'], 'application/json'));
    }
    const text = body.toString('utf8');
    try {
      const mayHoldLossless = scanJson(text);
      void parseSafely(request, text, (error, value) => {
        if (error !== null) done(error);
        else done(null, mayHoldLossless ? withDoubles(parseJson(text)) : value);
      });
    } catch (error) {
      done(error instanceof JsonTooDeep ? new RequestMalformed(`The body ${error.message}`) : (error as Error));
    }
  });
}

/** A number such as `10.00` loses only its way of writing. */
function withDoubles(value: unknown): unknown {
  return mapLosslessNumbers(value, (number) => (number.isDouble() ? Number(number) : number));
}
