import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '#libs/ports';
import { ServiceProcess, answersReady } from './service-process.js';

/** A running Millrace, in one of the forms it comes in. The journeys know only this. */
export interface Form {
  /** Where webhooks and events go in. */
  readonly doors: string;
  /** Where GraphQL is. */
  readonly graphql: string;
  /** Where the local model takes its faults. */
  readonly model: string;
  readonly operatorKey: string;
  /** Where its processes answer operations, but for the model. */
  readonly services: readonly string[];
  start(): Promise<void>;
  /** As `start`, and waits for nothing. */
  launch(): void;
  /** Waits until all of it can work. */
  ready(): Promise<void>;
  /** Ends every process at once with SIGKILL. */
  kill(): Promise<void>;
  /** Asks every process to stop; resolves with their exit codes. */
  stop(): Promise<(number | null)[]>;
  /** Stops it if need be and removes what it left. */
  dispose(): Promise<void>;
  /** What its processes printed lately. */
  tail(): string;
}

export interface FormOptions {
  /** Where spans go; left out: nowhere. */
  otlpUrl?: string;
  /** Before every topic and group, so that forms on one broker do not meet. */
  logPrefix: string;
  /** The log to use; left out, the one-process form brings its own. */
  brokers?: readonly string[];
  logLevel?: string;
  /** How long a stop may take. */
  stopTimeoutMs?: number;
  /** What a dead process held is free again within seconds. */
  recoversQuickly?: boolean;
}

export interface FourProcesses extends Form {
  readonly aiProcessing: ServiceProcess;
  readonly connectors: ServiceProcess;
}

export interface FourProcessesOptions extends FormOptions {
  brokers: readonly string[];
  /** A migrated database that is this form's alone. */
  databaseUrl: string;
  /** What the documents in it are encrypted with, where there are some already; 32 bytes in base64. */
  secretsKey?: string;
}

const quickRecovery = { LOG_SESSION_TIMEOUT_MS: '6000', RUN_LEASE_MS: '2000', DELIVERY_LEASE_MS: '2000' };

const environmentOf = ({ otlpUrl, brokers, logPrefix, logLevel, stopTimeoutMs, recoversQuickly }: FormOptions): Record<string, string> => ({
  LOG_LEVEL: logLevel ?? 'info',
  DELIVERY_ALLOW_PRIVATE_ADDRESSES: 'true',
  ...(recoversQuickly === true ? quickRecovery : {}),
  ...(stopTimeoutMs === undefined ? {} : { STOP_TIMEOUT_MS: String(stopTimeoutMs) }),
  ...(otlpUrl === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl }),
  ...(brokers === undefined ? {} : { KAFKA_BROKERS: brokers.join(','), LOG_PREFIX: logPrefix }),
});

/** `npm start`: everything in one process, with the embedded log, or on the Kafka under test. */
export async function oneProcess(options: FormOptions): Promise<Form> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-form-'));
  const credentials = join(directory, 'credentials.json');
  const environment = { ...environmentOf(options), MILLRACE_DIRECTORY: directory };
  const standalone = new ServiceProcess(
    'standalone',
    await freePort(),
    environment,
    async (port) => existsSync(credentials) && answersReady(port),
  );
  return {
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

/** The four services and the local model apart, over one log and one Postgres, as a cluster runs them. */
export async function fourProcesses(options: FourProcessesOptions): Promise<FourProcesses> {
  const operatorKey = 'mr_test_operator_0123456789abcdef0123456789abcdef';
  const environment = environmentOf(options);
  const shared = {
    ...environment,
    DATABASE_URL: options.databaseUrl,
    SECRETS_KEY: options.secretsKey ?? randomBytes(32).toString('base64'),
  };
  const model = new ServiceProcess('local-model', await freePort(), environment);
  const ingestion = new ServiceProcess('ingestion', await freePort(), shared);
  const query = new ServiceProcess('query', await freePort(), { ...shared, OPERATOR_KEY: operatorKey });
  const ai = { ...shared, MODEL_BASE_URL: `${model.url}/local-model/v1`, MODEL_API_KEY: 'local' };
  const aiProcessing = new ServiceProcess('ai-processing', await freePort(), ai);
  const connectors = new ServiceProcess('connectors', await freePort(), shared);
  const services = [ingestion, query, aiProcessing, connectors];
  const all = [model, ...services];
  const everywhere = async <T>(act: (one: ServiceProcess) => Promise<T>): Promise<T[]> => Promise.all(all.map(act));
  return {
    doors: ingestion.url,
    graphql: `${query.url}/graphql`,
    model: `${model.url}/local-model`,
    operatorKey,
    services: services.map(({ url }) => url),
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
