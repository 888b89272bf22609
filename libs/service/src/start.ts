import type { RequestListener } from 'node:http';
import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { HoldTable } from '#libs/holds';
import { PositionTable } from '#libs/positions';
import { Listeners, LogConsumer, RecordProducer } from '#libs/messaging';
import { sleep } from '#libs/time';
import { readBodies } from './body-parser.js';
import { BodyReader } from './body-reader.js';
import type { BootContext, BootOptions } from './boot-options.js';
import { compressResponses } from './compression.js';
import { ClientAddresses } from './client-address.js';
import { Doors } from './doors.js';
import { InfrastructureModule } from './infrastructure.module.js';
import { addressOf, listen } from './listening.js';
import { NestLog } from './nest-log.js';
import { Operations } from './operations.js';
import { OperationsServer } from './operations-server.js';
import { problemOf } from './problem.js';
import { ProblemFilter } from './problem.filter.js';
import { Readiness } from './readiness.js';
import type { ReadinessCheck } from './readiness.js';
import { observeRequest } from './request-duration.js';
import { AddressNotFound, RequestMalformed } from './request.errors.js';
import { Routes } from './routes.js';
import { defaultBodyLimits } from './service.settings.js';
import type { HttpOptions } from './service.settings.js';
import { StartWait, unlessAborted } from './start-wait.js';
import { UnusedConnections, closeServer } from './unused-connections.js';

/** One process: the services that run in it, the resources that they share, and where it listens. */
export interface Composition extends BootOptions, HttpOptions {
  /** The bearer key of operations; undefined: everybody may see their reasons and metrics. */
  operationsKey?: string | undefined;
  modules: readonly DynamicModule[];
  /** Further parts behind `/readyz`, from the start on. */
  parts?: Readonly<Record<string, ReadinessCheck>>;
}

export interface RunningService {
  /** Base address, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Base address of `/healthz`, `/readyz` and `/metrics`. */
  readonly operationsUrl: string;
  /** The Nest application, for composition roots and tests that need a provider of it. */
  readonly app: NestFastifyApplication;
  /**
   * Becomes unready, serves on for the delay of the composition, then refuses new work, finishes what is under way and closes every connection.
   * @param options.isUrgent leaves the delay out
   */
  stop(options?: { isUrgent: boolean }): Promise<void>;
}

/**
 * Starts a process. It listens at once: the addresses of operations are answered, all others get 503 with `Retry-After`.
 * While the log or Postgres is away, the start waits. Resolves when the consumers have joined and the doors are unlocked.
 * @param stopping aborts the start
 * @throws a failure that waiting cannot cure, such as a schema that is too old; the signal's reason when the start is aborted
 */
export async function start(composition: Composition, stopping: AbortSignal = new AbortController().signal): Promise<RunningService> {
  const readiness = new Readiness(composition.isWorker !== true);
  const bodies = new BodyReader(composition.bodies ?? defaultBodyLimits);
  const { service, host, operationsPort } = composition;
  const operations = new Operations(readiness, composition.operationsKey);
  const addresses = new ClientAddresses(composition.trustedProxies ?? []);
  const doors = new Doors(service, bodies, operationsPort === undefined ? operations : undefined, addresses, composition.atOnce);
  const adapter = new FastifyAdapter({
    serverFactory: (others: RequestListener) => doors.server(others),
    routerOptions: { maxParamLength: 256 },
    clientErrorHandler: () => undefined, // the doors answer what is no request
    frameworkErrors: refuseUnroutable,
    skipMiddie: true, // Express middleware: there is none, and looking for it costs every request
  });
  const fastify = adapter.getInstance<FastifyInstance>();
  readiness.register('start', () => {
    throw new Error('under way');
  });
  for (const [part, check] of Object.entries(composition.parts ?? {})) readiness.register(part, check);
  const operationsServer =
    operationsPort === undefined ? undefined : await OperationsServer.open({ service, host, port: operationsPort }, bodies, operations);
  try {
    await listen(fastify.server, composition);
    const context = { doors, readiness, wait: new StartWait(readiness, stopping) };
    const app = await unlessAborted(create(composition, adapter, context), stopping);
    await openOrClose(app, fastify, composition, { bodies, doors }, stopping);
    readiness.withdraw('start');
    doors.unlock();
    const url = addressOf(fastify.server);
    const stop = async ({ isUrgent } = { isUrgent: false }): Promise<void> => {
      readiness.register('stop', () => {
        throw new Error('under way');
      });
      doors.beginStop();
      if (!isUrgent) await sleep(composition.stopDelayMs ?? 0);
      await app.close();
      operationsServer?.close();
    };
    return { url, operationsUrl: operationsServer?.url ?? url, app, stop };
  } catch (error) {
    fastify.server.close();
    operationsServer?.close();
    throw error;
  }
}

/** Answers a request whose address the router of Fastify refuses before any filter runs. */
function refuseUnroutable({ code }: Error & { code: string }, { method }: FastifyRequest, reply: FastifyReply): void {
  const isTooLong = code === 'FST_ERR_MAX_PARAM_LENGTH'; // nothing has such a long name
  const failure = isTooLong ? new AddressNotFound() : new RequestMalformed('The address has a percent sign that starts no UTF-8 character');
  const { problem, headers } = problemOf(failure, { method, route: undefined });
  void reply.status(problem.status).headers(headers).header('content-type', 'application/problem+json').send(JSON.stringify(problem));
}

function create(composition: Composition, adapter: FastifyAdapter, context: BootContext): Promise<NestFastifyApplication> {
  return NestFactory.create<NestFastifyApplication>(processOf(composition, context), adapter, {
    logger: new NestLog(),
    bodyParser: false,
    abortOnError: false,
  });
}

async function openOrClose(
  app: NestFastifyApplication,
  fastify: FastifyInstance,
  composition: Composition,
  parts: { bodies: BodyReader; doors: Doors },
  stopping: AbortSignal,
): Promise<void> {
  try {
    await unlessAborted(open(app, fastify, composition, parts), stopping);
  } catch (error) {
    await app.close();
    throw error;
  }
}

async function open(
  app: NestFastifyApplication,
  fastify: FastifyInstance,
  composition: Composition,
  { bodies, doors }: { bodies: BodyReader; doors: Doors },
): Promise<void> {
  const unused = new UnusedConnections(fastify.server);
  fastify.addHook('onClose', () => closeServer(fastify.server, unused));
  readBodies(fastify, bodies);
  compressResponses(fastify);
  measureRequests(fastify, composition.service);
  app.useGlobalFilters(new ProblemFilter(new Routes(fastify)));
  await app.init(); // the configuration is read before the first record is handled
  await fastify.ready();
  if (composition.log !== undefined) await consume(app, composition, composition.log, doors.opened);
}

/** The root module. Nest requires a class; the composition lists what it imports. */
function processOf({ modules, ...options }: Composition, context: BootContext): DynamicModule {
  @Module({})
  class Process {}
  return { module: Process, imports: [InfrastructureModule.of(options, context), ...modules] };
}

async function consume(
  app: NestFastifyApplication,
  { service, storage }: BootOptions,
  log: NonNullable<BootOptions['log']>,
  begin: Promise<void>,
): Promise<void> {
  const consumer = new LogConsumer({
    brokers: log.brokers,
    prefix: log.prefix,
    security: log.security,
    clientId: `millrace-${service}`,
    producer: app.get(RecordProducer),
    ...(storage === undefined ? {} : { holds: app.get(HoldTable), positions: app.get(PositionTable) }),
    listeners: app.get(Listeners),
    concurrency: log.concurrency,
    sessionTimeoutMs: log.sessionTimeoutMs,
    handlerDeadlineMs: log.handlerDeadlineMs,
    begin,
  });
  app.get(Readiness).registerShared('consumers', () => consumer.ready());
  app.connectMicroservice({ strategy: consumer });
  await app.startAllMicroservices();
}

function measureRequests(fastify: FastifyInstance, service: string): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    if (String(reply.raw.getHeader('content-type')).startsWith('text/event-stream')) return done(); // it ends when the caller leaves
    observeRequest(service, request.method, request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime);
    done();
  });
}
