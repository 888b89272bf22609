import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { JsonTooDeep, mapLosslessNumbers, parseJson, scanJson } from '#libs/json';
import type { BodyReader } from './body-reader.js';
import { MediaTypeUnsupported, RequestMalformed } from './request.errors.js';

/** The part of a `@RouteConfig` that is about the bodies of the route. */
export interface RouteBodies {
  /** The route gets the bytes of any content type unparsed, so that it can verify a signature first. Default: false. */
  readonly rawBody?: boolean;
  /** A body of this route may be this many times as large as BODY_LIMIT_BYTES. Default: 1. */
  readonly limitTimes?: number;
}

/**
 * Makes Fastify read bodies as bytes. Every route gets parsed JSON, and refuses other content types, unless its `@RouteConfig` says otherwise
 * ({@link RouteBodies}). A number is a `LosslessNumber` if no double is equal to it.
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
    const raw = bodiesOf(request).rawBody === true;
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
    bodies.read(request.raw, responses.get(request.raw)!, bodiesOf(request).limitTimes).then(
      (body) => {
        if (body !== undefined) parse(request, body, done); // else nobody is there any more
      },
      (error: Error) => done(error),
    );
  });
}

function bodiesOf({ routeOptions }: FastifyRequest): RouteBodies {
  return routeOptions.config as RouteBodies;
}

/** A number such as `10.00` loses only its way of writing. */
function withDoubles(value: unknown): unknown {
  return mapLosslessNumbers(value, (number) => (number.isDouble() ? Number(number) : number));
}
