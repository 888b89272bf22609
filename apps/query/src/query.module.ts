import { Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationShutdown } from '@nestjs/common';
import { KeyRing } from '#libs/auth';
import { ApiKeyTable, Configuration, DocumentTable, TenantDatabase } from '#libs/persistence';
import { Readiness, StartWait } from '#libs/service';
import { ApiKeyMutations, ApiKeyQueries } from './api-keys/api-key.resolver.js';
import { ApiKeyEnvironment, ApiKeyService } from './api-keys/api-key.service.js';
import { AuditTable } from './audit/audit.table.js';
import { BulkOperationMutations, BulkOperationQueries } from './bulk-operations/bulk-operation.resolver.js';
import { BulkOperationService } from './bulk-operations/bulk-operation.service.js';
import { BulkOperationTable } from './bulk-operations/bulk-operation.table.js';
import type { QuerySettings } from './config.js';
import { CommandService } from './commands/command.service.js';
import { IdempotencyKeyTable } from './commands/idempotency-key.table.js';
import { CustomerQueries } from './customers/customer.resolver.js';
import { CustomerTable } from './customers/customer.table.js';
import {
  CustomerHoldsResolver,
  DeadLetterMutations,
  DeadLetterQueries,
  DeadLetterResolver,
  HoldResolver,
} from './dead-letters/dead-letter.resolver.js';
import { DeadLetterTable } from './dead-letters/dead-letter.table.js';
import { HoldsTable } from './dead-letters/hold.table.js';
import { SettlementService } from './dead-letters/settlement.service.js';
import { DeliveryMutations, DeliveryQueries, DeliveryResolver } from './deliveries/delivery.resolver.js';
import { DeliveryTable } from './deliveries/delivery.table.js';
import { RedeliveryService } from './deliveries/redelivery.service.js';
import { DestinationMutations, DestinationQueries } from './destinations/destination.resolver.js';
import { DestinationService } from './destinations/destination.service.js';
import { DestinationTable } from './destinations/destination.table.js';
import { DocumentMutations, DocumentQueries, DocumentResolver } from './documents/document.resolver.js';
import { DocumentService } from './documents/document.service.js';
import { EventQueries, EventResolver } from './events/event.resolver.js';
import { EventTable } from './events/event.table.js';
import { ContextFactory } from './graphql/context.js';
import { Executor } from './graphql/executor.js';
import { graphqlModule } from './graphql/graphql.module.js';
import { standardLimits } from './graphql/limits.js';
import { LoaderFactory } from './graphql/loaders.js';
import { NodeQueries } from './nodes/node.resolver.js';
import { CursorSigner } from './paging/cursor.js';
import { Paging } from './paging/paging.js';
import { ReplayMutations } from './replays/replay.resolver.js';
import { ReplayService } from './replays/replay.service.js';
import { DecisionResolver, ModelAttemptResolver, RunQueries, RunResolver, StepResolver } from './runs/run.resolver.js';
import { RunTable } from './runs/run.table.js';
import { EventChangeSubscriptions } from './subscriptions/event-change.resolver.js';
import { EventChangesConsumer } from './subscriptions/event-changes.consumer.js';
import { EventChanges } from './subscriptions/event-changes.js';
import { SubscriptionServer } from './subscriptions/subscription.server.js';
import { TimelineEntryResolver } from './timeline/timeline.resolver.js';
import { TimelineTable } from './timeline/timeline.table.js';

const tables = [
  EventTable,
  CustomerTable,
  RunTable,
  DeliveryTable,
  DestinationTable,
  DeadLetterTable,
  HoldsTable,
  TimelineTable,
  BulkOperationTable,
  AuditTable,
  IdempotencyKeyTable,
  DocumentTable,
  ApiKeyTable,
];
const services = [
  CommandService,
  RedeliveryService,
  SettlementService,
  DestinationService,
  ReplayService,
  BulkOperationService,
  DocumentService,
  ApiKeyService,
];
const answers = [
  EventResolver,
  RunResolver,
  DecisionResolver,
  StepResolver,
  ModelAttemptResolver,
  DeliveryResolver,
  DeadLetterResolver,
  CustomerHoldsResolver,
  HoldResolver,
];
const queries = [
  EventQueries,
  CustomerQueries,
  RunQueries,
  DeliveryQueries,
  DeadLetterQueries,
  BulkOperationQueries,
  NodeQueries,
  DestinationQueries,
  DocumentQueries,
  ApiKeyQueries,
];
const mutations = [
  DeliveryMutations,
  DeadLetterMutations,
  DestinationMutations,
  ReplayMutations,
  BulkOperationMutations,
  DocumentMutations,
  ApiKeyMutations,
];
const resolvers = [...queries, ...mutations, ...answers, DocumentResolver, TimelineEntryResolver, EventChangeSubscriptions];

/** GraphQL: what happened, what is, and the few things a person may ask for. */
@Module({})
export class QueryModule {
  static register(settings: QuerySettings): DynamicModule {
    const foundation = FoundationModule.register(settings);
    return {
      module: QueryModule,
      imports: [foundation, graphqlModule([foundation])],
      controllers: [EventChangesConsumer],
      providers: [...services, ...resolvers, EventChanges, SubscriptionServer],
    };
  }
}

/** What GraphQL stands on: tables, paging, who is asking, and how operations run. */
@Module({})
class FoundationModule implements OnApplicationShutdown {
  constructor(
    private readonly database: TenantDatabase,
    readiness: Readiness,
  ) {
    readiness.register('query storage', () => database.ping());
  }

  static register(settings: QuerySettings): DynamicModule {
    const { databaseUrl: url, databasePoolSize: poolSize, operatorKey, graphqlTimeoutMs: timeoutMs, graphqlMaxCost: maxCost } = settings;
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
      { provide: CursorSigner, useValue: new CursorSigner(settings.secretsKey) },
      { provide: Executor, useValue: new Executor({ limits: { ...standardLimits, maxCost }, timeoutMs }) },
      { provide: ApiKeyEnvironment, useValue: new ApiKeyEnvironment(settings.apiKeyEnvironment) },
      Paging,
      LoaderFactory,
      ContextFactory,
      ...tables,
    ];
    return { module: FoundationModule, providers, exports: providers };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.database.close();
  }
}
