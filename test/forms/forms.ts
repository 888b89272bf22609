import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '#libs/ports';
import { quickRecovery } from './quick-recovery.js';
import { ServiceProcess } from './service-process.js';

/** A running Millrace in one of its forms: one process, or four. The journeys use only this. */
export interface Form {
  /** Base address of the webhooks and the events API. */
  readonly doors: string;
  /** Address of GraphQL. */
  readonly graphql: string;
  /** Base address of the local model, for its faults. */
  readonly model: string;
  readonly operatorKey: string;
  /** Base addresses of its services, without the local model. */
  readonly services: readonly string[];
  start(): Promise<void>;
  /** Starts all processes without waiting until they are ready. */
  launch(): void;
  /** Waits until all processes are ready. */
  ready(): Promise<void>;
  /** Ends all processes at once with SIGKILL. */
  kill(): Promise<void>;
  /** Sends SIGTERM to all processes. Resolves with their exit codes. */
  stop(): Promise<(number | null)[]>;
  /** Stops it if it runs, and removes its files. */
  dispose(): Promise<void>;
  /** The latest output of its processes. */
  tail(): string;
}

export interface FormOptions {
  /** Address of the OTLP collector. Default: none. */
  otlpUrl?: string;
  /** Prefix of all topics and groups, so that forms on one broker stay apart. */
  logPrefix: string;
  /** The log to use. Default: the one-process form starts its own. */
  brokers?: readonly string[];
  logLevel?: string;
  /** Deadline of a stop. Default: that of the services. */
  stopTimeoutMs?: number;
  /** Shortens sessions and leases, so that the partitions and claims of a dead process are free within seconds. */
  recoversQuickly?: boolean;
  /** Further settings of every process. */
  settings?: Readonly<Record<string, string>>;
}

export interface OneProcess extends Form {
  /** The folder with its data and `credentials.json`. */
  readonly directory: string;
}

export interface FourProcesses extends Form {
  /** The services and the local model. */
  readonly processes: readonly ServiceProcess[];
  /** The addresses of all processes of `ingestion`. */
  readonly everyDoor: readonly string[];
  readonly aiProcessing: ServiceProcess;
  readonly connectors: ServiceProcess;
}

export interface FourProcessesOptions extends FormOptions {
  /** Processes of `ingestion`. Default 1. */
  doorProcesses?: number;
  brokers: readonly string[];
  /** A migrated database that nothing else uses, with the login of the services. */
  databaseUrl: string;
  /** The same with the login for what callers read and write. */
  queryDatabaseUrl: string;
  /** The key of the encrypted documents in the database, 32 bytes in base64. Default: a random one. */
  secretsKey?: string;
  /** Settings of one service, such as its login at the log. */
  settingsOf?: (service: string) => Readonly<Record<string, string>>;
  /** Makes the process of a service. Default: it runs the build of this checkout. */
  processOf?: (service: string, port: number, settings: Record<string, string>) => ServiceProcess;
}

const environmentOf = ({
  otlpUrl,
  brokers,
  logPrefix,
  logLevel,
  stopTimeoutMs,
  recoversQuickly,
  settings,
}: FormOptions): Record<string, string> => ({
  LOG_LEVEL: logLevel ?? 'info',
  DELIVERY_ALLOW_PRIVATE_ADDRESSES: 'true',
  STOP_DELAY_MS: '0', // no load balancer is before them
  ...(recoversQuickly === true ? quickRecovery(2_000) : {}),
  ...(stopTimeoutMs === undefined ? {} : { STOP_TIMEOUT_MS: String(stopTimeoutMs) }),
  ...(otlpUrl === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl }),
  ...(brokers === undefined ? {} : { KAFKA_BROKERS: brokers.join(','), KAFKA_ACK_COPIES: '1', LOG_PREFIX: logPrefix }),
  ...settings,
});

/** `npm start`: all services in one process, with its own embedded log or on `brokers`. */
export async function oneProcess(options: FormOptions): Promise<OneProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-form-'));
  const credentials = join(directory, 'credentials.json');
  const environment = { ...environmentOf(options), MILLRACE_DIRECTORY: directory };
  const standalone = new ServiceProcess('standalone', await freePort(), environment);
  return {
    directory,
    doors: standalone.url,
    graphql: `${standalone.url}/graphql`,
    model: `${standalone.url}/local-model`,
    get operatorKey() {
      return (JSON.parse(readFileSync(credentials, 'utf8')) as { operatorKey: string }).operatorKey;
    },
    services: [standalone.url],
    start: () => standalone.start(),
    launch: () => void standalone.launch(),
    ready: () => standalone.ready(),
    kill: () => standalone.kill(),
    stop: async () => [await standalone.stop()],
    async dispose() {
      await standalone.stop();
      rmSync(directory, { recursive: true, force: true });
    },
    tail: () => standalone.tail(),
  };
}

/** The four services and the local model in processes of their own, over one log and one Postgres, as a cluster runs them. */
export async function fourProcesses(options: FourProcessesOptions): Promise<FourProcesses> {
  const operatorKey = 'mr_test_operator_0123456789abcdef0123456789abcdef';
  const environment = environmentOf(options);
  const shared = {
    ...environment,
    DATABASE_URL: options.databaseUrl,
    SECRETS_KEY: options.secretsKey ?? randomBytes(32).toString('base64'),
  };
  const make = options.processOf ?? ((service, port, settings) => new ServiceProcess(service, port, settings));
  const processOf = async (service: string, settings: Record<string, string>): Promise<ServiceProcess> =>
    make(service, await freePort(), { ...settings, ...options.settingsOf?.(service) });
  const model = await processOf('local-model', environment);
  const ingestion = await processOf('ingestion', shared);
  const query = await processOf('query', {
    ...shared,
    QUERY_DATABASE_URL: options.queryDatabaseUrl,
    OPERATOR_KEY: operatorKey,
  });
  const aiProcessing = await processOf('ai-processing', {
    ...shared,
    MODEL_BASE_URL: `${model.url}/local-model/v1`,
    MODEL_API_KEY: 'local',
  });
  const connectors = await processOf('connectors', shared);
  const moreDoors = await Promise.all(Array.from({ length: (options.doorProcesses ?? 1) - 1 }, () => processOf('ingestion', shared)));
  const services = [ingestion, ...moreDoors, query, aiProcessing, connectors];
  const all = [model, ...services];
  const everywhere = async <T>(act: (one: ServiceProcess) => Promise<T>): Promise<T[]> => Promise.all(all.map(act));
  return {
    doors: ingestion.url,
    everyDoor: [ingestion, ...moreDoors].map(({ url }) => url),
    graphql: `${query.url}/graphql`,
    model: `${model.url}/local-model`,
    operatorKey,
    services: services.map(({ url }) => url),
    processes: all,
    aiProcessing,
    connectors,
    start: async () => void (await everywhere((one) => one.start())),
    launch: () => all.forEach((one) => void one.launch()),
    ready: async () => void (await everywhere((one) => one.ready())),
    kill: async () => void (await everywhere((one) => one.kill())),
    stop: () => everywhere((one) => one.stop()),
    dispose: async () => void (await everywhere((one) => one.stop())),
    tail: () => all.map((one) => one.tail()).join('\n'),
  };
}
