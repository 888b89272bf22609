import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { JsonTooDeep, mapLosslessNumbers, parseJson, scanJson } from '#libs/json';
import type { BodyReader } from './body-reader.js';
import { MediaTypeUnsupported, RequestMalformed } from './request.errors.js';

/**
 * Makes Fastify read bodies as bytes. A route with `@RouteConfig({ rawBody: true })` gets the bytes of any content type unparsed, so that it can
 * verify a signature first. Every other route gets parsed JSON, and refuses other content types. A number is a `LosslessNumber` if no double is equal
 * to it.
 */
export function readBodies(fastify: FastifyInstance, bodies: BodyReader): void {
  const parseSafely = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  const responses = new WeakMap<IncomingMessage, ServerResponse>();
  fastify.addHook('onRequest', (request, reply, done) => {
    responses.set(request.raw, reply.raw);
    done();
  });
  const parse = (request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: unknown) => void): void => {
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
  };
  fastify.addContentTypeParser('*', (request, _payload, done) => {
    if (request.is404) return done(null); // its body is not read
    bodies.read(request.raw, responses.get(request.raw)!).then(
      (body) => {
        if (body !== undefined) parse(request, body, done); // else nobody is there any more
      },
      (error: Error) => done(error),
    );
  });
}

/** A number such as `10.00` loses only its way of writing. */
function withDoubles(value: unknown): unknown {
  return mapLosslessNumbers(value, (number) => (number.isDouble() ? Number(number) : number));
}
