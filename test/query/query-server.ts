import { randomBytes } from 'node:crypto';
import { QueryModule } from '#apps/query';
import { SecretBox, issueApiKey } from '#libs/auth';
import { readSettings } from '#libs/config';
import type { Scope } from '#libs/contracts';
import { ApiKeyTable, Database } from '#libs/persistence';
import { secretStoreSettings } from '#libs/secret-stores';
import type { SecretStoreSettings } from '#libs/secret-stores';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { freshDatabase, testBrokers, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { Rows } from './rows.js';

export interface Answer<Data> {
  status: number;
  headers: Headers;
  data?: Data | null;
  errors?: { message: string; path?: (string | number)[]; extensions: { code: string; outcome: string; argument?: string } }[];
}

export interface Limits extends Partial<SecretStoreSettings> {
  graphqlTimeoutMs?: number;
  graphqlMaxCost?: number;
  /** Addresses of systems whose connectors name other hosts. Default: none. */
  allowedUrls?: string[];
}

type OwnDatabase = Pick<FreshDatabase, 'url' | 'queryUrl' | 'close'>;

/** The query service as it runs in production, over a database of its own and the log of the test run. */
export class QueryServer {
  private constructor(
    private readonly service: RunningService,
    private readonly fresh: OwnDatabase,
    private readonly database: Database,
    readonly operatorKey: string,
    /** Writes what the other services would have written. */
    readonly rows: Rows,
  ) {}

  /** @param database default: one of its own on the Postgres of the test run */
  static async start(limits: Limits = {}, database?: OwnDatabase): Promise<QueryServer> {
    const fresh = database ?? (await freshDatabase());
    const operatorKey = randomBytes(24).toString('hex');
    const secretsKey = randomBytes(32);
    const service = await start({
      service: 'query',
      host: '127.0.0.1',
      port: 0,
      log: {
        brokers: testBrokers(),
        replication: 1,
        ackTimeoutMs: 5_000,
        concurrency: 50,
        sessionTimeoutMs: 15_000,
        handlerDeadlineMs: 60_000,
      },
      storage: { url: fresh.url, poolSize: 4, secretBox: new SecretBox(secretsKey) },
      modules: [
        QueryModule.register({
          databaseUrl: fresh.url,
          databaseCaFile: undefined,
          databaseCertificateFile: undefined,
          databaseKeyFile: undefined,
          queryDatabaseUrl: fresh.queryUrl,
          databasePoolSize: 4,
          secretsKey,
          operatorKey,
          allowedOrigins: ['https://console.example'],
          apiKeyEnvironment: 'test',
          graphqlTimeoutMs: 10_000,
          graphqlMaxCost: 10_000,
          allowPrivateAddresses: true,
          allowedUrls: [],
          consentCallbackUrl: 'https://millrace.example/connections/callback',
          webhooksUrl: 'https://millrace.example/webhooks',
          secretsRefreshMs: 3_600_000,
          ...readSettings('query', secretStoreSettings, {}),
          ...limits,
        }),
      ],
    });
    const writer = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test keys' });
    return new QueryServer(service, fresh, writer, operatorKey, await Rows.at(fresh.url));
  }

  get url(): string {
    return this.service.url;
  }

  get databaseUrl(): string {
    return this.fresh.url;
  }

  get queryUrl(): string {
    return this.fresh.queryUrl;
  }

  /** A part of the running service, by its class. */
  part<T>(token: { prototype: T }): T {
    return this.service.app.get(token as never, { strict: false });
  }

  async stop(): Promise<void> {
    await this.service.stop();
    await this.database.close();
    await this.rows.close();
    await this.fresh.close();
  }

  /** A key that is already in force. */
  async key(tenant: string, ...scopes: Scope[]): Promise<string> {
    const { key, id, secretHash } = issueApiKey('test');
    await new ApiKeyTable().insert(this.database, { tenant, id, name: 'test', secretHash, scopes, createdBy: 'test', expiresAt: null });
    await waitFor(async () => (await this.send({ query: '{ __typename }' }, { authorization: `Bearer ${key}` })).status !== 401, {
      what: 'the key to be in force',
    });
    return key;
  }

  /** Asks with an API key, or as the operator of a tenant. */
  async ask<Data = Record<string, never>>(
    as: string | { operatorIn: string },
    query: string,
    variables: Record<string, unknown> = {},
  ): Promise<Answer<Data>> {
    const credentials: Record<string, string> =
      typeof as === 'string'
        ? { authorization: `Bearer ${as}` }
        : { authorization: `Bearer ${this.operatorKey}`, 'millrace-tenant': as.operatorIn };
    const response = await this.send({ query, variables }, { ...credentials, accept: 'application/graphql-response+json' });
    return { status: response.status, headers: response.headers, ...((await response.json()) as object) };
  }

  /** The data, where there must be no error. */
  async data<Data>(as: string | { operatorIn: string }, query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const { data, errors } = await this.ask<Data>(as, query, variables);
    if (errors !== undefined || data == null) throw new Error(`GraphQL answered with errors: ${JSON.stringify(errors)}`);
    return data;
  }

  send(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return fetch(`${this.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: text });
  }
}
