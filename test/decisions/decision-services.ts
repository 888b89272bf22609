import { randomBytes } from 'node:crypto';
import { IngestionModule } from '#apps/ingestion';
import { SecretBox, issueApiKey } from '#libs/auth';
import { document } from '#libs/contracts';
import type { Scope } from '#libs/contracts';
import { ApiKeyTable, Database, DocumentTable } from '#libs/persistence';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { freshDatabase, testBrokers, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';

type Composition = Parameters<typeof start>[0];

/** How a process of {@link DecisionServices} differs from the usual one. */
interface ServiceOptions extends Pick<Composition, 'modules'> {
  readonly isWorker?: boolean;
  /** The address of Postgres; default: without anything between. */
  readonly databaseUrl?: string;
  readonly poolSize: number;
  /** How many requests it takes at once; default: that of the settings. */
  readonly requests?: number | undefined;
}

/** Processes that take requests for decisions of one tenant and work on them, over a log of their own and one Postgres. */
export class DecisionServices {
  readonly tenant = uniqueName('acme');
  readonly brokers = testBrokers();
  private readonly secretsKey = randomBytes(32);
  private readonly secretBox = new SecretBox(this.secretsKey);
  private readonly documents = new DocumentTable(this.secretBox);
  private readonly started = new Set<RunningService>();
  private readonly log: NonNullable<Composition['log']>;

  private constructor(
    name: string,
    readonly fresh: FreshDatabase,
    readonly database: Database,
  ) {
    this.log = {
      brokers: this.brokers,
      prefix: `${uniqueName(name)}.`,
      replication: 1,
      ackTimeoutMs: 5_000,
      concurrency: 200,
      sessionTimeoutMs: 15_000,
      handlerDeadlineMs: 60_000,
    };
  }

  /** With the tenant, and without a process. */
  static async create(name: string): Promise<DecisionServices> {
    const fresh = await freshDatabase();
    const database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test', poolSize: 2 });
    const services = new DecisionServices(name, fresh, database);
    await services.save('Tenant', { displayName: 'Acme' });
    return services;
  }

  /** The settings that every process of Millrace needs. */
  environment(databaseUrl = this.fresh.url): Record<string, string> {
    return { DATABASE_URL: databaseUrl, KAFKA_BROKERS: this.brokers.join(','), SECRETS_KEY: this.secretsKey.toString('base64') };
  }

  /** Saves a document of the tenant, or with a name of none that of the tenant itself. */
  async save(kind: string, spec: object, name?: string): Promise<void> {
    const metadata = name === undefined ? { name: this.tenant } : { tenant: this.tenant, name };
    await this.documents.save(this.database, {
      document: document.parse({ apiVersion: 'millrace/v1', kind, metadata, spec }),
      actor: 'test',
    });
  }

  async issueKey(scope: Scope, owner = this.tenant): Promise<string> {
    const { id, key, secretHash } = issueApiKey('test');
    const about = { tenant: owner, id, name: scope, secretHash, expiresAt: null, createdBy: 'test' };
    await new ApiKeyTable().insert(this.database, { ...about, scopes: [scope] });
    return key;
  }

  /** A process of ingestion. */
  startDoor(options: Omit<ServiceOptions, 'modules' | 'poolSize'> = {}): Promise<RunningService> {
    const callers = { mostWaitingCallers: 500, mostWaitingCallersOfTenant: 400 };
    const module = IngestionModule.register({
      logEvery: 0,
      maxBatchEvents: 3,
      ...callers,
      keptBodyBytes: 0,
      redisUrl: undefined,
      redisCaFile: undefined,
    });
    return this.start('ingestion', { ...options, poolSize: 10, modules: [module] });
  }

  async start(
    service: string,
    { databaseUrl = this.fresh.url, poolSize, modules, isWorker = false, requests }: ServiceOptions,
  ): Promise<RunningService> {
    const running = await start({
      service,
      host: '127.0.0.1',
      port: 0,
      isWorker,
      log: this.log,
      storage: { url: databaseUrl, poolSize, secretBox: this.secretBox },
      modules,
      ...(requests !== undefined && { atOnce: { connections: 100, requests } }),
    });
    this.started.add(running);
    const stop = (): Promise<void> => {
      this.started.delete(running);
      return running.stop();
    };
    return { ...running, stop };
  }

  /** Stops every process that was started and not stopped since. */
  async stop(): Promise<void> {
    await Promise.all([...this.started].map((service) => service.stop()));
    await this.database.close();
    await this.fresh.close();
  }
}
