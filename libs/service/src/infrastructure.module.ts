import { Global, Injectable, Module } from '@nestjs/common';
import type { BeforeApplicationShutdown, DynamicModule, OnApplicationBootstrap, OnApplicationShutdown, Provider } from '@nestjs/common';
import { SecretBox } from '#libs/auth';
import { ConfigurationCopy, ConfigurationCopyUnusable, ConfigurationPublisher } from '#libs/configuration-copy';
import { messageOf, topics } from '#libs/contracts';
import { HoldTable } from '#libs/holds';
import { Listeners, RecordProducer, ensureTopics } from '#libs/messaging';
import type { LogOptions } from '#libs/messaging';
import { requireSchema } from '#libs/migrations';
import { PositionTable } from '#libs/positions';
import { Configuration, Database, DocumentSecrets, StorageUnavailable } from '#libs/persistence';
import type { BootContext, BootOptions, LogBootOptions, StorageBootOptions } from './boot-options.js';
import { Doors } from './doors.js';
import { Readiness } from './readiness.js';
import { StartWait } from './start-wait.js';

/** Token of the options by which a service reads the log without a group: {@link LogOptions}. */
export const logClient = Symbol('log client');

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
      ...(log === undefined
        ? []
        : [
            { provide: RecordProducer, useFactory: () => connectLog(options.service, log, wait) },
            { provide: logClient, useValue: clientOptions(options.service, log) },
            Listeners,
          ]),
      ...(storage === undefined
        ? []
        : [
            { provide: SecretBox, useValue: storage.secretBox },
            DocumentSecrets,
            {
              provide: Database,
              inject: [{ token: ConfigurationCopy, optional: true }],
              useFactory: (copy?: ConfigurationCopy) => wait.for('storage', () => connectStorage(options.service, storage, copy)),
            },
            HoldTable,
            PositionTable,
            {
              provide: Configuration,
              inject: [Database, { token: ConfigurationCopy, optional: true }],
              useFactory: (database: Database, fallback?: ConfigurationCopy) =>
                new Configuration(database, {
                  secretBox: storage.secretBox,
                  fallback,
                  maxAgeMs: storage.configurationMaxAgeMs,
                  check: () => requireSchema(database),
                }),
            },
          ]),
      ...copyProviders(options),
    ];
    return {
      module: InfrastructureModule,
      providers: [...shared, ...lifecycles(options)],
      exports: shared,
    };
  }
}

/** The parts of a process that reads the log's copy of the configuration, or writes it. */
function copyProviders({ service, log, storage }: BootOptions): Provider[] {
  if (log === undefined || storage === undefined) return [];
  const { secretBox, configurationMaxAgeMs: maxAgeMs, publishesConfiguration = false } = storage;
  const options = clientOptions(service, log);
  const reader: Provider = {
    provide: ConfigurationCopy,
    inject: [RecordProducer], // the topics are there
    useFactory: () => new ConfigurationCopy(options, secretBox, maxAgeMs!),
  };
  const publisher: Provider = {
    provide: ConfigurationPublisher,
    inject: [Configuration, Database, RecordProducer],
    useFactory: (configuration: Configuration, database: Database, producer: RecordProducer) =>
      new ConfigurationPublisher(configuration, database, producer, secretBox, options),
  };
  return [...(maxAgeMs === undefined ? [] : [reader]), ...(publishesConfiguration ? [publisher] : [])];
}

function clientOptions(service: string, { brokers, prefix, security }: LogBootOptions): LogOptions {
  return { brokers, ...(prefix === undefined ? {} : { prefix }), security, clientId: `millrace-${service}` };
}

async function connectLog(service: string, log: LogBootOptions, wait: StartWait): Promise<RecordProducer> {
  const client = clientOptions(service, log);
  await wait.for('log', () => ensureTopics(client, Object.values(topics), log));
  const producer = new RecordProducer({ ...client, ackTimeoutMs: log.ackTimeoutMs });
  await wait.for('log', () => producer.connect());
  return producer;
}

/** @param copy what stands in for Postgres while it is away */
async function connectStorage(
  service: string,
  { url, poolSize }: StorageBootOptions,
  copy: ConfigurationCopy | undefined,
): Promise<Database> {
  const options = { url, role: 'millrace_service', applicationName: `millrace-${service}`, poolSize } as const;
  const database = await Database.connect(options).catch(async (error: unknown) => {
    if (copy === undefined || !(error instanceof StorageUnavailable)) throw error;
    await copy.require().catch((why: unknown) => {
      throw new ConfigurationCopyUnusable(`${messageOf(error)}. ${messageOf(why)}`);
    });
    return undefined;
  });
  if (database === undefined) return Database.unconnected(options);
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
    readiness.registerShared('configuration age', () => configuration.requireFresh());
  }

  onApplicationBootstrap(): Promise<void> {
    return this.configuration.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.configuration.stop();
    await this.database.close();
  }
}

/** Publishes until the producer and the pool are closed. */
@Injectable()
class PublisherLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(private readonly publisher: ConfigurationPublisher) {}

  onApplicationBootstrap(): void {
    this.publisher.start();
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.publisher.stop();
  }
}

function lifecycles({ log, storage }: BootOptions): Provider[] {
  return [
    ...(log === undefined ? [] : [LogLifecycle]),
    ...(storage === undefined ? [] : [StorageLifecycle]),
    ...(log !== undefined && storage?.publishesConfiguration === true ? [PublisherLifecycle] : []),
  ];
}
