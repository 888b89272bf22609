import { Global, Injectable, Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationBootstrap, OnApplicationShutdown, Provider } from '@nestjs/common';
import { SecretBox } from '#libs/auth';
import { topics } from '#libs/contracts';
import { HoldTable } from '#libs/holds';
import { Listeners, RecordProducer, ensureTopics } from '#libs/messaging';
import { requireSchema } from '#libs/migrations';
import { PositionTable } from '#libs/positions';
import { Configuration, Database, DocumentSecrets } from '#libs/persistence';
import type { BootContext, BootOptions, LogBootOptions, StorageBootOptions } from './boot-options.js';
import { Doors } from './doors.js';
import { Readiness } from './readiness.js';
import { StartWait } from './start-wait.js';

/** The objects that a process has once, whichever services run in it: producer, database, configuration, readiness. */
@Global()
@Module({})
export class InfrastructureModule {
  static of(options: BootOptions, { doors, readiness, wait }: BootContext): DynamicModule {
    const { log, storage } = options;
    const shared: Provider[] = [
      { provide: Doors, useValue: doors },
      { provide: Readiness, useValue: readiness },
      { provide: StartWait, useValue: wait },
      ...(log === undefined ? [] : [{ provide: RecordProducer, useFactory: () => connectLog(options.service, log, wait) }, Listeners]),
      ...(storage === undefined
        ? []
        : [
            { provide: SecretBox, useValue: storage.secretBox },
            DocumentSecrets,
            { provide: Database, useFactory: () => wait.for('storage', () => connectStorage(options.service, storage)) },
            HoldTable,
            PositionTable,
            {
              provide: Configuration,
              inject: [Database],
              useFactory: (database: Database) => new Configuration(database, { secretBox: storage.secretBox }),
            },
          ]),
    ];
    return {
      module: InfrastructureModule,
      providers: [...shared, ...lifecycles(options)],
      exports: shared,
    };
  }
}

async function connectLog(service: string, log: LogBootOptions, wait: StartWait): Promise<RecordProducer> {
  const clientOptions = { brokers: log.brokers, prefix: log.prefix, security: log.security, clientId: `millrace-${service}` };
  await wait.for('log', () => ensureTopics(clientOptions, Object.values(topics), log));
  const producer = new RecordProducer({ ...clientOptions, ackTimeoutMs: log.ackTimeoutMs });
  await wait.for('log', () => producer.connect());
  return producer;
}

async function connectStorage(service: string, storage: StorageBootOptions): Promise<Database> {
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

/** Disconnects the producer in the last phase of a shutdown, when everything that appends has stopped. */
@Injectable()
class LogLifecycle implements OnApplicationShutdown {
  constructor(
    private readonly producer: RecordProducer,
    readiness: Readiness,
  ) {
    readiness.registerShared('log', () => producer.ready());
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
  ) {
    readiness.registerShared('storage', () => database.ping());
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

function lifecycles(options: BootOptions): Provider[] {
  return [...(options.log === undefined ? [] : [LogLifecycle]), ...(options.storage === undefined ? [] : [StorageLifecycle])];
}
