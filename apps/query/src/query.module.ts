import { Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { KeyRing, SecretBox } from '#libs/auth';
import { Connections } from '#libs/connections';
import { HttpClient } from '#libs/http';
import { Configuration, DocumentSecrets, TenantDatabase, databaseUrl } from '#libs/persistence';
import { secretStoreOf } from '#libs/secret-stores';
import { AllowedOrigins, Readiness, StartWait } from '#libs/service';
import { ApiKeyEnvironment } from './api-keys/api-key.service.js';
import { AuditTable } from './audit/audit.table.js';
import { ConsentCallback } from './connections/connection.service.js';
import { CommandService } from './commands/command.service.js';
import { IdempotencyKeyTable } from './commands/idempotency-key.table.js';
import type { QuerySettings } from './config.js';
import { WebhooksAddress } from './webhooks/registration.service.js';
import { SecretRefresh } from './stored-secrets/secret.refresher.js';
import { StoredSecrets } from './stored-secrets/stored-secrets.js';
import { ConsentController } from './doors/consent/consent.controller.js';
import { Executor } from './doors/graphql/executor.js';
import { GraphqlGuard } from './doors/graphql/graphql.guard.js';
import { graphqlModule } from './doors/graphql/graphql.module.js';
import { standardLimits } from './doors/graphql/limits.js';
import { GraphiqlController } from './doors/graphiql/graphiql.controller.js';
import { EventStreamServer } from './doors/graphql/event-stream.server.js';
import { SubscriptionServer } from './doors/graphql/subscription.server.js';
import { Subscriptions } from './doors/graphql/subscriptions.js';
import { JobController } from './doors/jobs/job.controller.js';
import { HomeController } from './doors/home/home.controller.js';
import { OperationRunner } from './operations/operation-runner.js';
import type { Part } from './operations/part.js';
import { CursorSigner } from './paging/cursor.js';
import { Paging } from './paging/paging.js';
import { parts } from './parts.generated.js';

const nouns: readonly Part[] = Object.values(parts);

/** The operations of the contract behind their doors: what happened, what is, and the few things a person may ask for. */
@Module({})
export class QueryModule {
  static register(settings: QuerySettings): DynamicModule {
    const foundation = FoundationModule.register(settings);
    return {
      module: QueryModule,
      imports: [foundation, graphqlModule([foundation])],
      controllers: [
        HomeController,
        GraphiqlController,
        ConsentController,
        JobController,
        ...nouns.flatMap(({ controllers = [] }) => controllers),
      ],
      providers: [
        GraphqlGuard,
        Subscriptions,
        SubscriptionServer,
        EventStreamServer,
        { provide: AllowedOrigins, useValue: new AllowedOrigins(settings.allowedOrigins) },
      ],
    };
  }
}

/** The part of `query` that every door stands on: tables and services of the nouns, commands, paging, and how operations run. */
@Module({})
class FoundationModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    private readonly database: TenantDatabase,
    private readonly connections: Connections,
    private readonly http: HttpClient,
    readiness: Readiness,
  ) {
    readiness.registerShared('query storage', () => database.ping());
  }

  static register(settings: QuerySettings): DynamicModule {
    const { databasePoolSize: poolSize, operatorKey, graphqlTimeoutMs: timeoutMs, graphqlMaxCost: maxCost } = settings;
    const { allowPrivateAddresses, allowedUrls, consentCallbackUrl } = settings;
    const url = databaseUrl(settings.queryDatabaseUrl ?? settings.databaseUrl, settings);
    const providers = [
      {
        provide: TenantDatabase,
        inject: [StartWait],
        useFactory: (wait: StartWait) =>
          wait.for('query storage', () =>
            TenantDatabase.connect({ url, poolSize, role: 'millrace_query', applicationName: 'millrace-query' }),
          ),
      },
      {
        provide: KeyRing,
        inject: [Configuration],
        useFactory: (configuration: Configuration) =>
          new KeyRing((id) => configuration.apiKey(id), operatorKey === undefined ? {} : { operatorKey }),
      },
      {
        provide: Connections,
        inject: [TenantDatabase, DocumentSecrets, SecretBox],
        useFactory: (database: TenantDatabase, secrets: DocumentSecrets, secretBox: SecretBox) =>
          new Connections({ database, secrets, secretBox, allowPrivateAddresses, allowedUrls }),
      },
      { provide: HttpClient, useFactory: () => new HttpClient({ allowPrivateAddresses, allowedUrls }) },
      { provide: WebhooksAddress, useValue: new WebhooksAddress(settings.webhooksUrl, { allowsLoopback: allowPrivateAddresses }) },
      { provide: ConsentCallback, useValue: new ConsentCallback(consentCallbackUrl) },
      { provide: StoredSecrets, useValue: new StoredSecrets(secretStoreOf('query', settings)) },
      { provide: SecretRefresh, useValue: new SecretRefresh(settings.secretsRefreshMs) },
      { provide: CursorSigner, useValue: new CursorSigner(settings.secretsKey) },
      { provide: Executor, useValue: new Executor({ limits: { ...standardLimits, maxCost }, timeoutMs }) },
      { provide: ApiKeyEnvironment, useValue: new ApiKeyEnvironment(settings.apiKeyEnvironment) },
      Paging,
      AuditTable,
      IdempotencyKeyTable,
      CommandService,
      OperationRunner,
      ...nouns.flatMap(({ providers: ofNoun = [] }) => ofNoun),
    ];
    return { module: FoundationModule, providers, exports: providers };
  }

  onApplicationBootstrap(): Promise<void> {
    return this.connections.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.connections.close();
    await this.http.close();
    await this.database.close();
  }
}
