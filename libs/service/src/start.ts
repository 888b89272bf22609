import type { RequestListener } from 'node:http';
import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { LogConsumer, RecordProducer } from '#libs/messaging';
import { HoldTable } from '#libs/persistence';
import { readBodies } from './body-parser.js';
import { Doors } from './doors.js';
import { InfrastructureModule } from './infrastructure.module.js';
import type { Parts } from './infrastructure.module.js';
import { NestLog } from './nest-log.js';
import { ProblemFilter } from './problem.filter.js';
import { Readiness } from './readiness.js';
import { observeRequest } from './request-duration.js';

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

/** Starts the composition and resolves when it listens and its consumers have joined. */
export async function start(composition: Composition): Promise<RunningService> {
  const doors = new Doors(composition.service, bodyLimitBytes);
  const adapter = new FastifyAdapter({
    serverFactory: (others: RequestListener) => doors.server(others),
    bodyLimit: bodyLimitBytes,
    routerOptions: { maxParamLength: 256 },
    forceCloseConnections: 'idle',
    skipMiddie: true, // Express middleware: there is none, and looking for it costs every request
  });
  const app = await NestFactory.create<NestFastifyApplication>(processOf(composition, doors), adapter, {
    logger: new NestLog(),
    bodyParser: false,
    abortOnError: false,
  });
  const fastify = app.getHttpAdapter().getInstance();
  try {
    await open(app, fastify, composition);
  } catch (error) {
    await app.close();
    throw error;
  }
  return { url: addressOf(fastify), app, stop: () => app.close() };
}

async function open(app: NestFastifyApplication, fastify: FastifyInstance, composition: Composition): Promise<void> {
  readBodies(fastify);
  measureRequests(fastify, composition.service);
  app.useGlobalFilters(new ProblemFilter(bodyLimitBytes));
  await app.init(); // the configuration is read before the first record is handled
  if (composition.log !== undefined) await consume(app, composition, composition.log);
  await app.listen(composition.port, composition.host);
}

/** Nest wants a class as the root; the composition says what is in it. */
function processOf({ modules, ...parts }: Composition, doors: Doors): DynamicModule {
  @Module({})
  class Process {}
  return { module: Process, imports: [InfrastructureModule.of(parts, doors), ...modules] };
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

function addressOf(fastify: FastifyInstance): string {
  const address = fastify.server.address();
  if (address === null || typeof address === 'string') throw new Error('The server listens on no port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
