import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { AiProcessingModule, aiProcessingSettings } from '#apps/ai-processing';
import { ConnectorsModule, connectorsSettings } from '#apps/connectors';
import { IngestionModule, ingestionSettings } from '#apps/ingestion';
import { startLocalBroker } from '#apps/local-broker';
import { LocalModelModule, localModelBasePath, localModelSettings } from '#apps/local-model';
import { QueryModule, querySettings } from '#apps/query';
import { SecretBox } from '#libs/auth';
import { resealTokens } from '#libs/connections';
import { fileVariable, readSettings } from '#libs/config';
import type { Settings } from '#libs/config';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { ModelGateway } from '#libs/models';
import { databaseUrl, resealDocuments } from '#libs/persistence';
import { isLoopback } from '#libs/ports';
import { Readiness, httpOptions, logOptions, start, storageOptions } from '#libs/service';
import type { standaloneSettings } from './config.js';
import { DataDirectory } from './data-directory.js';
import type { SampleCredentials } from './data-directory.js';
import { modelReport } from './model-report.js';
import { sampleSystemsUrl, startSampleSystems } from './sample-systems/sample-systems.js';
import type { SampleSystemPorts } from './sample-systems/sample-systems.js';
import { makeSecrets, moveSampleDestination, moveSampleSystems, putSamples, sampleDestinationUrl } from './samples.js';
import { SampleDestinationModule } from './sample-destination.module.js';

export interface Standalone {
  readonly credentials: SampleCredentials;
  /** Base address of `/readyz` and `/metrics`. */
  readonly operationsUrl: string;
  /** True if this start created the sample tenant. */
  readonly first: boolean;
  /** Lines about the model provider for a person: whether it can be used, and what to mend. */
  readonly modelReport: readonly string[];
  /** True if other machines can reach it. */
  readonly isExposed: boolean;
  stop(options?: { isUrgent: boolean }): Promise<void>;
}

/**
 * All services in one process on one port, over an embedded Postgres and an embedded log, with the local model and the samples. A setting that
 * names a Kafka, a Postgres or a model replaces the embedded one.
 * @param environment where the services' own settings are read from, beside what the composition fills in
 * @param stopping breaks the start off
 * @param progress is told in a few words what comes next
 * @throws AlreadyRunning while another process has the data directory
 */
export async function startStandalone(
  settings: Settings<typeof standaloneSettings>,
  environment: NodeJS.ProcessEnv,
  stopping?: AbortSignal,
  progress: (step: string) => void = () => undefined,
): Promise<Standalone> {
  const url = ownAddress(settings);
  const directory = new DataDirectory(settings.directory);
  directory.lock(url);
  const started: ((options?: { isUrgent: boolean }) => Promise<void> | void)[] = [() => directory.unlock()];
  const stop = async (options?: { isUrgent: boolean }): Promise<void> => {
    for (const stopOne of started.splice(0).toReversed()) await stopOne(options);
  };
  try {
    await requireFreePort('PORT', settings.host, settings.port);
    if (settings.operationsPort) await requireFreePort('OPERATIONS_PORT', settings.host, settings.operationsPort);
    if (settings.databaseUrl === undefined) progress('Starting Postgres');
    const database =
      settings.databaseUrl === undefined ? await embeddedPostgres(directory, started) : oneLogin(settings.databaseUrl, settings);
    progress('Bringing the schema up to date');
    await migrate(database.ownerUrl);
    const secretBox = new SecretBox(directory.key('secrets'));
    await resealDocuments(database.serviceUrl, secretBox);
    await resealTokens(database.serviceUrl, secretBox);
    progress(settings.kafkaBrokers === undefined ? 'Starting the log and the services' : 'Starting the services');
    const brokers = settings.kafkaBrokers ?? (await embeddedLog(directory, settings.logRetentionMegabytes, started));
    const operatorKey = settings.operatorKey ?? generatedOperatorKey(directory);
    const before = directory.credentials();
    const secrets = { ...makeSecrets(), ...before?.secrets };
    const { stop: stopSystems, ...systems } = await startSampleSystems(secrets['systems']!, before?.systems);
    started.push(stopSystems);
    const filled = withoutFiles({
      ...environmentOf(settings, environment, { url, systems }),
      DATABASE_URL: database.serviceUrl,
      QUERY_DATABASE_URL: database.queryUrl,
      KAFKA_BROKERS: brokers,
      SECRETS_KEY: directory.key('secrets').toString('base64'),
      OPERATOR_KEY: operatorKey,
    });
    const keyOfOthers = isLoopback(settings.host) ? undefined : operatorKey;
    const ingestion = readSettings('ingestion', ingestionSettings, filled);
    const running = await start(
      {
        service: 'standalone',
        ...httpOptions(settings),
        operationsKey: settings.operationsKey ?? keyOfOthers,
        log: logOptions(ingestion),
        storage: storageOptions(ingestion),
        modules: [
          IngestionModule.register(ingestion),
          AiProcessingModule.register(readSettings('ai-processing', aiProcessingSettings, filled)),
          ConnectorsModule.register(readSettings('connectors', connectorsSettings, filled)),
          QueryModule.register(readSettings('query', querySettings, filled)),
          LocalModelModule.register(readSettings('local-model', localModelSettings, filled)),
          SampleDestinationModule.register(secrets['crm'] ?? '', keyOfOthers),
        ],
        parts: { [samplesPart]: beingPrepared },
      },
      stopping,
    );
    started.push((options) => running.stop(options));
    if (before !== undefined && before.url !== url) await moveSampleDestination({ ...before, operatorKey }, url);
    if (before?.systems !== undefined) await moveSampleSystems({ url, operatorKey }, before.systems, systems);
    if (before === undefined) progress('Creating the sample tenant');
    const known = before === undefined ? await putSamples(url, operatorKey, secrets) : { ...before, url, operatorKey, secrets };
    const credentials: SampleCredentials = { ...known, systems };
    directory.saveCredentials(credentials);
    running.app.get(Readiness, { strict: false }).withdraw(samplesPart);
    const report =
      settings.modelBaseUrl === undefined
        ? ['local/rules-1, the offline one of this process']
        : await modelReport(running.app.get(ModelGateway, { strict: false }), credentials);
    return {
      credentials,
      operationsUrl: running.operationsUrl,
      first: before === undefined,
      modelReport: report,
      isExposed: keyOfOthers !== undefined,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The part behind `/readyz` that is there until the samples and `credentials.json` are: scripts wait for it and then read that file. */
const samplesPart = 'samples';
function beingPrepared(): never {
  throw new Error('being prepared');
}

/** Checked before anything is started, so that a taken port is reported in one line. */
async function requireFreePort(setting: string, host: string, port: number): Promise<void> {
  const probe = createServer();
  try {
    probe.listen(port, host);
    await once(probe, 'listening');
  } catch (error) {
    throw new Error(
      `Port ${port} of ${host} cannot be taken (${(error as NodeJS.ErrnoException).code}); choose another: ${setting}=${port + 1} npm start`,
      {
        cause: error,
      },
    );
  } finally {
    probe.close();
  }
}

/** The addresses of Postgres for migrations, the services, and what callers read. */
type Logins = Pick<EmbeddedPostgres, 'ownerUrl' | 'serviceUrl' | 'queryUrl'>;

async function embeddedPostgres(directory: DataDirectory, started: (() => Promise<void> | void)[]): Promise<Logins> {
  const postgres = await EmbeddedPostgres.start({ directory: directory.postgres, durable: true });
  started.push(() => postgres.stop());
  return postgres;
}

/** A Postgres of somebody's own has one login for everything. */
function oneLogin(address: string, settings: Settings<typeof standaloneSettings>): Logins {
  const url = databaseUrl(address, settings);
  return { ownerUrl: url, serviceUrl: url, queryUrl: url };
}

async function embeddedLog(directory: DataDirectory, retentionMegabytes: number, started: (() => Promise<void> | void)[]): Promise<string> {
  const broker = await startLocalBroker({ directory: directory.log, retentionBytes: retentionMegabytes * 1_048_576 });
  started.push(() => broker.stop());
  return broker.address;
}

/** The address at which this process reaches itself. */
function ownAddress({ host, port }: Settings<typeof standaloneSettings>): string {
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${local.includes(':') ? `[${local}]` : local}:${port}`;
}

/**
 * The settings of the services, as far as the composition knows them. Whoever listens beyond loopback does not know every caller: deliveries go
 * to public addresses, the sample destination and the sample systems only, and the local model wants a key that only this process knows.
 */
function environmentOf(
  settings: Settings<typeof standaloneSettings>,
  environment: NodeJS.ProcessEnv,
  { url, systems }: { url: string; systems: SampleSystemPorts },
): NodeJS.ProcessEnv {
  const isPrivate = isLoopback(settings.host);
  const { apiKey } = readSettings('local-model', { apiKey: localModelSettings.apiKey }, environment);
  const localModelKey = apiKey ?? (isPrivate ? '' : randomBytes(32).toString('hex'));
  const samples = [sampleDestinationUrl(url), sampleSystemsUrl(systems), `smtp://127.0.0.1:${systems.mailPort}`];
  const allowed = [environment['DELIVERY_ALLOWED_URLS'] ?? '', ...samples].filter((each) => each !== '');
  return {
    LOCAL_MODEL_FAULTS: String(isPrivate),
    KAFKA_ACK_COPIES: '1', // the embedded log is one disk, and so is most often a Kafka on the same machine
    ...environment,
    DELIVERY_ALLOW_PRIVATE_ADDRESSES: settings.allowPrivateAddresses === 'auto' ? String(isPrivate) : settings.allowPrivateAddresses,
    CONSENT_CALLBACK_URL: settings.consentCallbackUrl ?? `${url}/connections/callback`,
    LOCAL_MODEL_API_KEY: localModelKey,
    DELIVERY_ALLOWED_URLS: allowed.join(','),
    MODEL_BASE_URL: settings.modelBaseUrl ?? `${url}${localModelBasePath}`,
    MODEL_API_KEY: settings.modelApiKey ?? (localModelKey || 'local'),
    API_KEY_ENVIRONMENT: 'local',
  };
}

/** Without the names of files whose secrets the composition has read. */
function withoutFiles(filled: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const read = new Set(
    ['DATABASE_URL', 'QUERY_DATABASE_URL', 'SECRETS_KEY', 'OPERATOR_KEY', 'MODEL_API_KEY', 'LOCAL_MODEL_API_KEY'].map(fileVariable),
  );
  return Object.fromEntries(Object.entries(filled).filter(([name]) => !read.has(name)));
}

/** The operator's key of this data directory, generated once. It acts in every tenant. */
function generatedOperatorKey(directory: DataDirectory): string {
  return `mr_local_operator_${directory.key('operator').toString('base64url')}`;
}
