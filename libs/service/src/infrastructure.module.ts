import { Global, Inject, Injectable, Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationBootstrap, OnApplicationShutdown, Provider } from '@nestjs/common';
import { SecretBox } from '#libs/auth';
import { topics } from '#libs/contracts';
import { HoldTable } from '#libs/holds';
import { RecordProducer, ensureTopics } from '#libs/messaging';
import { requireSchema } from '#libs/migrations';
import { Configuration, Database } from '#libs/persistence';
import { Doors } from './doors.js';
import { Readiness } from './readiness.js';
import { StartWait } from './start-wait.js';

/** The log, as this process uses it. */
export interface LogPart {
  brokers: readonly string[];
  /** What every topic and consumer group begins with. */
  prefix?: string;
  replication: number;
  ackTimeoutMs: number;
  /** Records handled at once per consumer group. */
  concurrency: number;
  sessionTimeoutMs: number;
  handlerDeadlineMs: number;
}

/** Postgres in the role that works across tenants, and the configuration read from it. */
export interface StoragePart {
  url: string;
  poolSize: number;
  secretBox: SecretBox;
  /** `always`: not ready while Postgres is away. `at-start`: once the configuration has been read, works from memory (the front door). */
  needed: 'always' | 'at-start';
}

export interface Parts {
  service: string;
  log?: LogPart;
  storage?: StoragePart;
}

/** What a process has before Nest puts the rest together. */
export interface Beginnings {
  doors: Doors;
  readiness: Readiness;
  wait: StartWait;
}

const partsToken = Symbol('parts');

/** What a process has once, whichever services run in it: the producer, the database, the configuration, readiness. */
@Global()
@Module({})
export class InfrastructureModule {
  static of(parts: Parts, { doors, readiness, wait }: Beginnings): DynamicModule {
    const { log, storage } = parts;
    const shared: Provider[] = [
      { provide: Doors, useValue: doors },
      { provide: Readiness, useValue: readiness },
      { provide: StartWait, useValue: wait },
      ...(log === undefined ? [] : [{ provide: RecordProducer, useFactory: () => connectLog(parts.service, log, wait) }]),
      ...(storage === undefined
        ? []
        : [
            { provide: SecretBox, useValue: storage.secretBox },
            { provide: Database, useFactory: () => wait.for('storage', () => connectStorage(parts.service, storage)) },
            HoldTable,
            {
              provide: Configuration,
              inject: [Database],
              useFactory: (database: Database) => new Configuration(database, { secretBox: storage.secretBox }),
            },
          ]),
    ];
    return {
      module: InfrastructureModule,
      providers: [{ provide: partsToken, useValue: parts }, ...shared, ...lifecycles(parts)],
      exports: shared,
    };
  }
}

async function connectLog(service: string, log: LogPart, wait: StartWait): Promise<RecordProducer> {
  const options = { brokers: log.brokers, prefix: log.prefix, clientId: `millrace-${service}` };
  await wait.for('log', () => ensureTopics(options, Object.values(topics), log.replication));
  const producer = new RecordProducer({ ...options, ackTimeoutMs: log.ackTimeoutMs });
  await wait.for('log', () => producer.connect());
  return producer;
}

async function connectStorage(service: string, storage: StoragePart): Promise<Database> {
  const { url, poolSize } = storage;
  const database = await Database.connect({ url, role: 'millrace_service', applicationName: `millrace-${service}`, poolSize });
  try {
    await requireSchema(database);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Closes last: whoever appends has stopped by then. */
@Injectable()
class LogLifecycle implements OnApplicationShutdown {
  constructor(
    private readonly producer: RecordProducer,
    readiness: Readiness,
  ) {
    readiness.register('log', () => producer.ready());
  }

  onApplicationShutdown(): Promise<void> {
    return this.producer.disconnect();
  }
}

@Injectable()
class StorageLifecycle implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly database: Database,
    private readonly configuration: Configuration,
    readiness: Readiness,
    @Inject(partsToken) parts: Parts,
  ) {
    if (parts.storage?.needed === 'always') readiness.register('storage', () => database.ping());
    readiness.register('configuration', () => {
      if (!configuration.ready()) throw new Error('the configuration has not been read yet');
    });
  }

  onApplicationBootstrap(): Promise<void> {
    return this.configuration.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.configuration.stop();
    await this.database.close();
  }
}

function lifecycles(parts: Parts): Provider[] {
  return [...(parts.log === undefined ? [] : [LogLifecycle]), ...(parts.storage === undefined ? [] : [StorageLifecycle])];
}
