import { Inject, Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationShutdown } from '@nestjs/common';
import { SecretBox } from '#libs/auth';
import { BulkOperations } from '#libs/bulk';
import { Connections } from '#libs/connections';
import { TenantConnections } from '#libs/connectors';
import { FlowCompiler } from '#libs/flows';
import { HttpClient } from '#libs/http';
import { limitStoreFor } from '#libs/limits';
import type { LimitStore } from '#libs/limits';
import { RecordProducer } from '#libs/messaging';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { Configuration, Database, DocumentSecrets } from '#libs/persistence';
import { SharedOutputs, redisFor } from '#libs/redis';
import { Readiness } from '#libs/service';
import type { AiProcessingOptions } from './config.js';
import { DeadLetterConsumer } from './dead-letters/dead-letter.consumer.js';
import { DeadLetterGauges } from './dead-letters/dead-letter.gauges.js';
import { DeadLetterStore } from './dead-letters/dead-letter.store.js';
import { EventConsumer } from './events/event.consumer.js';
import { EventRecorder } from './events/event.recorder.js';
import { EventStore } from './events/event.store.js';
import { FlowMatcher } from './runs/flow.matcher.js';
import { ModelProviderPool, modelLimitStore } from './model-providers/model-provider.pool.js';
import { ModelProviderService } from './model-providers/model-provider.service.js';
import { ModelProviderStore } from './model-providers/model-provider.store.js';
import { TenantModelService } from './model-providers/tenant-model.service.js';
import { TenantModelStore } from './model-providers/tenant-model.store.js';
import { OperationService } from './operations/operation.service.js';
import { BulkReplayConsumer } from './replays/bulk-replay.consumer.js';
import { bulkReplays } from './replays/bulk-replays.js';
import { ReplayConsumer } from './replays/replay.consumer.js';
import { RequestConsumer } from './requests/request.consumer.js';
import { RequestRecorder } from './requests/request.recorder.js';
import { RequestStore } from './requests/request.store.js';
import { RetentionService, retentionOptions } from './retention/retention.service.js';
import type { RetentionOptions } from './retention/retention.service.js';
import { RetentionStore } from './retention/retention.store.js';
import { ReviewClock } from './reviews/review.clock.js';
import { ReviewStore } from './reviews/review.store.js';
import { FailedRuns } from './runs/failed.runs.js';
import { RunAnnouncer } from './runs/run.announcer.js';
import { RunConsumer } from './runs/run.consumer.js';
import { RunDrafts } from './runs/run.drafts.js';
import { RunProgressStore } from './runs/run.progress.store.js';
import { RunService } from './runs/run.service.js';
import { RunStore } from './runs/run.store.js';
import { RunWorker, runOptions } from './runs/run.worker.js';
import type { RunOptions } from './runs/run.worker.js';
import { StepResultStore } from './runs/step-result.store.js';
import { CancelRunConsumer } from './runs/cancel-run.consumer.js';
import { EventTrial } from './trials/event.trial.js';
import { PromotionConsumer } from './trials/promotion.consumer.js';
import { promotionOperations, promotions } from './trials/promotions.js';
import { TrialConsumer } from './trials/trial.consumer.js';
import { TrialRunner } from './trials/trial.runner.js';
import { TrialStore } from './trials/trial.store.js';
import { ContinueRunConsumer } from './waits/continue-run.consumer.js';
import { SpendTable } from './spending/spend.table.js';
import { SpendingService } from './spending/spending.service.js';
import { RunWaitTable } from './waits/run-wait.table.js';
import { RunWaker } from './waits/run.waker.js';

/** Records events, runs their flows, replays them, keeps the dead letters, deletes what is old, and asks which models there are. */
@Module({})
export class AiProcessingModule implements OnApplicationShutdown {
  constructor(
    private readonly models: ModelGateway,
    private readonly http: HttpClient,
    private readonly connections: Connections,
    @Inject(modelLimitStore) private readonly limitStore: LimitStore,
    readiness: Readiness,
  ) {
    readiness.register('model', () => models.endpoint.ready());
  }

  static register(options: AiProcessingOptions): DynamicModule {
    const provider = new OpenAiProvider({ baseUrl: options.modelBaseUrl, apiKey: options.modelApiKey, api: options.modelApi });
    const redis = redisFor(options);
    const http = new HttpClient({
      allowPrivateAddresses: options.allowPrivateAddresses,
      allowedUrls: options.allowedUrls,
      connectionsPerOrigin: options.handlerConcurrency, // as many runs may ask one system, and none is to wait for the answers to others
    });
    return {
      module: AiProcessingModule,
      controllers: [
        EventConsumer,
        RequestConsumer,
        RunConsumer,
        ReplayConsumer,
        CancelRunConsumer,
        ContinueRunConsumer,
        BulkReplayConsumer,
        TrialConsumer,
        PromotionConsumer,
        DeadLetterConsumer,
      ],
      providers: [
        ModelProviderPool,
        SpendTable,
        SpendingService,
        { provide: modelLimitStore, useFactory: () => limitStoreFor(redis) },
        {
          provide: ModelGateway,
          inject: [ModelProviderPool, modelLimitStore, SpendingService, SecretBox],
          useFactory: (directory: ModelProviderPool, limitStore: LimitStore, spending: SpendingService, secretBox: SecretBox) =>
            new ModelGateway({
              provider,
              directory,
              limitStore,
              sharedOutputs: redis === undefined ? undefined : new SharedOutputs(redis, secretBox, 'inference'),
              spending,
              limits: { requestsPerMinute: options.modelRequestsPerMinute, tokensPerMinute: options.modelTokensPerMinute },
            }),
        },
        { provide: HttpClient, useValue: http },
        { provide: retentionOptions, useValue: options satisfies RetentionOptions },
        { provide: runOptions, useValue: options satisfies RunOptions },
        EventStore,
        EventRecorder,
        RequestStore,
        RequestRecorder,
        {
          provide: Connections,
          inject: [DocumentSecrets, SecretBox, Database],
          useFactory: (secrets: DocumentSecrets, secretBox: SecretBox, database: Database) =>
            Connections.started({ secrets, secretBox, database, ...options }),
        },
        {
          provide: TenantConnections,
          inject: [Configuration, Connections],
          useFactory: (configuration: Configuration, connections: Connections) => new TenantConnections(http, configuration, connections),
        },
        OperationService,
        {
          provide: FlowCompiler,
          inject: [ModelGateway, OperationService],
          useFactory: (models: ModelGateway, operations: OperationService) => new FlowCompiler({ models, operations }),
        },
        FlowMatcher,
        ModelProviderStore,
        ModelProviderService,
        TenantModelStore,
        TenantModelService,
        RetentionStore,
        RetentionService,
        ReviewStore,
        ReviewClock,
        RunWaitTable,
        RunWaker,
        RunStore,
        StepResultStore,
        RunProgressStore,
        RunAnnouncer,
        RunDrafts,
        RunWorker,
        FailedRuns,
        RunService,
        DeadLetterStore,
        DeadLetterGauges,
        TrialStore,
        EventTrial,
        {
          provide: TrialRunner,
          inject: [TrialStore, EventStore, EventTrial, Configuration],
          useFactory: (table: TrialStore, events: EventStore, eventTrial: EventTrial, configuration: Configuration) =>
            new TrialRunner(table, events, eventTrial, configuration, { leaseMs: options.runLeaseMs }),
        },
        {
          provide: BulkOperations,
          inject: [Database, RecordProducer],
          useFactory: (database: Database, producer: RecordProducer) => bulkReplays(database, producer, { leaseMs: options.runLeaseMs }),
        },
        {
          provide: promotionOperations,
          inject: [Database, RecordProducer],
          useFactory: (database: Database, producer: RecordProducer) => promotions(database, producer, { leaseMs: options.runLeaseMs }),
        },
      ],
    };
  }

  /** Nest calls it after the consumers have stopped. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.models.close(), this.connections.close()]);
    await Promise.all([this.http.close(), this.limitStore.close()]);
  }
}
