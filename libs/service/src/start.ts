import { once } from 'node:events';
import type { RequestListener, Server } from 'node:http';
import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { HoldTable } from '#libs/holds';
import { LogConsumer, RecordProducer } from '#libs/messaging';
import { readBodies } from './body-parser.js';
import { Doors } from './doors.js';
import { InfrastructureModule } from './infrastructure.module.js';
import type { Beginnings, Parts } from './infrastructure.module.js';
import { NestLog } from './nest-log.js';
import { Operations } from './operations.js';
import { ProblemFilter } from './problem.filter.js';
import { Readiness } from './readiness.js';
import { observeRequest } from './request-duration.js';
import { StartWait, unlessAborted } from './start-wait.js';

/** A process: which services run in it, and which parts they share. */
export interface Composition extends Parts {
  host: string;
  /** 0 takes a free port. */
  port: number;
  modules: readonly DynamicModule[];
}

export interface RunningService {
  /** Where it listens, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** The Nest application, for what a composition root still has to reach. */
  readonly app: NestFastifyApplication;
  /** Refuses new work, finishes what is under way, closes every connection. */
  stop(): Promise<void>;
}

const bodyLimitBytes = 1_048_576;

/**
 * Starts the composition. It listens at once, answers operations, and tells everybody else to come back; what it needs and is away is waited for.
 * Resolves when its consumers have joined and its doors are open.
 * @param stopping breaks the start off
 * @throws what no waiting mends, such as a schema that is too old; and why it was broken off
 */
export async function start(composition: Composition, stopping: AbortSignal = new AbortController().signal): Promise<RunningService> {
  const readiness = new Readiness();
  const doors = new Doors(composition.service, bodyLimitBytes, new Operations(readiness));
  const adapter = new FastifyAdapter({
    serverFactory: (others: RequestListener) => doors.server(others),
    bodyLimit: bodyLimitBytes,
    routerOptions: { maxParamLength: 256 },
    skipMiddie: true, // Express middleware: there is none, and looking for it costs every request
  });
  const fastify = adapter.getInstance<FastifyInstance>();
  readiness.register('start', () => {
    throw new Error('under way');
  });
  await listen(fastify.server, composition);
  try {
    const beginnings = { doors, readiness, wait: new StartWait(readiness, stopping) };
    const app = await unlessAborted(create(composition, adapter, beginnings), stopping);
    await openOrClose(app, fastify, composition, stopping);
    readiness.withdraw('start');
    doors.unlock();
    return { url: addressOf(fastify.server), app, stop: () => app.close() };
  } catch (error) {
    fastify.server.close();
    throw error;
  }
}

async function listen(server: Server, { port, host }: Composition): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

function create(composition: Composition, adapter: FastifyAdapter, beginnings: Beginnings): Promise<NestFastifyApplication> {
  return NestFactory.create<NestFastifyApplication>(processOf(composition, beginnings), adapter, {
    logger: new NestLog(),
    bodyParser: false,
    abortOnError: false,
  });
}

async function openOrClose(
  app: NestFastifyApplication,
  fastify: FastifyInstance,
  composition: Composition,
  stopping: AbortSignal,
): Promise<void> {
  try {
    await unlessAborted(open(app, fastify, composition), stopping);
  } catch (error) {
    await app.close();
    throw error;
  }
}

async function open(app: NestFastifyApplication, fastify: FastifyInstance, composition: Composition): Promise<void> {
  fastify.addHook('onClose', () => closed(fastify.server));
  readBodies(fastify);
  measureRequests(fastify, composition.service);
  app.useGlobalFilters(new ProblemFilter(bodyLimitBytes));
  await app.init(); // the configuration is read before the first record is handled
  await fastify.ready();
  if (composition.log !== undefined) await consume(app, composition, composition.log);
}

/** Fastify closes only what it opened itself. */
async function closed(server: Server): Promise<void> {
  if (!server.listening) return;
  server.close(); // and with it the connections that are idle
  await once(server, 'close');
}

/** Nest wants a class as the root; the composition says what is in it. */
function processOf({ modules, ...parts }: Composition, beginnings: Beginnings): DynamicModule {
  @Module({})
  class Process {}
  return { module: Process, imports: [InfrastructureModule.of(parts, beginnings), ...modules] };
}

async function consume(app: NestFastifyApplication, { service, storage }: Parts, log: NonNullable<Parts['log']>): Promise<void> {
  const consumer = new LogConsumer({
    brokers: log.brokers,
    prefix: log.prefix,
    clientId: `millrace-${service}`,
    producer: app.get(RecordProducer),
    ...(storage === undefined ? {} : { holds: app.get(HoldTable) }),
    concurrency: log.concurrency,
    sessionTimeoutMs: log.sessionTimeoutMs,
    handlerDeadlineMs: log.handlerDeadlineMs,
  });
  app.get(Readiness).register('consumers', () => consumer.ready());
  app.connectMicroservice({ strategy: consumer });
  await app.startAllMicroservices();
}

function measureRequests(fastify: FastifyInstance, service: string): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    observeRequest(service, request.method, request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime);
    done();
  });
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server listens on no port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
