import { join } from 'node:path';
import { quickRecovery } from '../forms/quick-recovery.js';
import { KeptProcess } from './kept-process.js';
import { Balancer } from './balancer.js';
import { applyChaosDocuments, applyThrough, chaosKeys } from './documents.js';
import { startLog } from './log.js';
import type { ChaosLog } from './log.js';
import type { LogKind } from './options.js';
import { KillablePostgres } from './postgres.js';
import type { Sink } from './sink.js';

export const logPrefix = 'chaos.';

export interface SystemOptions {
  readonly log: LogKind;
  /** The folder for data and output of the run. */
  readonly directory: string;
  /** The folder whose `dist` the services run. */
  readonly root: string;
  readonly sink: Sink;
  /** Documents of other tenants. */
  readonly more: readonly object[];
  /** The Redis that processes share; default: none. */
  readonly redisUrl?: string | undefined;
  /** The code of the local broker, which stands for a Kafka that no release of ours brings; default: `root`. */
  readonly brokerRoot?: string;
  /** True if `root` is the release before. It migrates Postgres and takes the documents through its API; there are two doors, behind a balancer. */
  readonly isBefore?: boolean;
}

/** All processes of a Millrace as a cluster runs it: two of each worker, and a third that a fault adds. */
export class System {
  /** Before the doors, where there are two. */
  private balancer: Balancer | undefined;

  private constructor(
    readonly postgres: KillablePostgres,
    readonly log: ChaosLog,
    readonly services: readonly KeptProcess[],
  ) {}

  static async start(options: SystemOptions): Promise<System> {
    const { directory, root, brokerRoot = root, sink, isBefore = false } = options;
    const [postgres, log] = await Promise.all([
      KillablePostgres.start(join(directory, 'postgres'), isBefore ? root : undefined),
      startLog(options.log, directory, brokerRoot),
    ]);
    const system = await System.over(options, postgres, log);
    const urlOf = (destination: string): string => sink.urlOf(destination);
    if (isBefore) {
      await system.startServices(({ name }) => name === 'query');
      await applyThrough(system.graphql, urlOf);
    } else {
      await applyChaosDocuments(postgres.serviceUrl, urlOf, options.more);
    }
    await system.startServices(({ running }) => !running);
    const doors = system.services.filter(({ service }) => service === 'ingestion');
    if (isBefore) system.balancer = await Balancer.start(doors.map(({ port }) => port));
    return system;
  }

  /** The services over a Postgres and a log that run already. They do not run yet. */
  static async over(
    options: Pick<SystemOptions, 'directory' | 'root' | 'sink' | 'isBefore' | 'redisUrl'>,
    postgres: KillablePostgres,
    log: ChaosLog,
  ): Promise<System> {
    return new System(postgres, log, await createServices(options, postgres, log));
  }

  /** Starts those services that run from the beginning, or some of them, and waits until they are ready. */
  async startServices(which: (service: KeptProcess) => boolean = () => true): Promise<void> {
    const wanted = this.services.filter((service) => !service.name.endsWith('-3') && which(service));
    for (const service of wanted) service.up();
    await Promise.all(wanted.map((service) => service.ready()));
  }

  get doors(): string {
    return this.balancer?.url ?? this.named('ingestion').url;
  }

  get graphql(): string {
    return `${this.named('query').url}/graphql`;
  }

  get model(): string {
    return `${this.named('local-model').url}/local-model`;
  }

  named(name: string): KeptProcess {
    return this.services.find((service) => service.name === name)!;
  }

  /** User and system time so far, by kind of process. */
  get cpuMs(): Map<string, number> {
    const ofServices = Map.groupBy(this.services, ({ service }) => service);
    return new Map([
      ...[...ofServices].map(([service, kept]) => [service, kept.reduce((sum, one) => sum + one.cpuMs, 0)] as const),
      ['log', this.log.cpuMs],
      ['postgres', this.postgres.cpuMs],
      ['harness', process.cpuUsage().user / 1_000 + process.cpuUsage().system / 1_000],
    ]);
  }

  get surprises(): string[] {
    return [...this.services.flatMap((service) => service.surprises), ...this.log.surprises];
  }

  async stopServices(): Promise<void> {
    await Promise.all(this.services.map((service) => service.stop()));
  }

  async stop(): Promise<void> {
    this.balancer?.stop();
    await this.stopServices();
    await this.log.stop();
    await this.postgres.stop();
  }
}

async function createServices(
  { directory, root, isBefore = false, redisUrl }: Pick<SystemOptions, 'directory' | 'root' | 'isBefore' | 'redisUrl'>,
  postgres: KillablePostgres,
  log: ChaosLog,
): Promise<KeptProcess[]> {
  const create = (name: string, service: string, environment: Record<string, string>): Promise<KeptProcess> =>
    KeptProcess.create({ name, service, environment, root, outputFile: join(directory, 'output', `${name}.log`) });
  const observed = { LOG_LEVEL: 'warn', TRACE_SAMPLE_PERCENT: '0', NODE_ENV: 'production', STOP_DELAY_MS: isBefore ? '3000' : '500' };
  const shared = {
    ...observed,
    ...quickRecovery(5_000),
    DATABASE_URL: postgres.serviceUrl,
    KAFKA_BROKERS: log.brokers.join(','),
    KAFKA_REPLICATION: String(log.replication),
    KAFKA_ACK_COPIES: log.replication >= 3 ? '2' : '1',
    LOG_PREFIX: logPrefix,
    SECRETS_KEY: chaosKeys.secretsKey,
  };
  const model = await create('local-model', 'local-model', observed);
  const sharing: Record<string, string> = redisUrl === undefined ? {} : { REDIS_URL: redisUrl };
  const reaching = { DELIVERY_ALLOW_PRIVATE_ADDRESSES: 'true' };
  const ai = {
    ...shared,
    MODEL_BASE_URL: `${model.url}/local-model/v1`,
    MODEL_API_KEY: 'local',
    RUN_RETRIES: '20',
    ...reaching,
    ...sharing,
  };
  const connectors = {
    ...shared,
    ...reaching,
    DELIVERY_BREAKER_OPEN_MS: '500',
    DELIVERY_BREAKER_LONGEST_OPEN_MS: '2000',
  };
  const others = await Promise.all([
    ...(isBefore ? ['ingestion', 'ingestion-2'] : ['ingestion']).map((name) =>
      create(name, 'ingestion', { ...shared, ...sharing, INTAKE_LOG_EVERY: '0' }),
    ),
    create('query', 'query', { ...shared, QUERY_DATABASE_URL: postgres.queryUrl, OPERATOR_KEY: chaosKeys.operator }),
    ...[1, 2, 3].map((number) => create(`ai-processing-${number}`, 'ai-processing', ai)),
    ...[1, 2, 3].map((number) => create(`connectors-${number}`, 'connectors', connectors)),
  ]);
  return [model, ...others];
}
