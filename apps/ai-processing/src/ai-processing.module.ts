import { Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { BulkOperations } from '#libs/bulk';
import { RecordProducer } from '#libs/messaging';
import { ModelCredentialRefused, ModelGateway, ModelMisconfigured, OpenAiProvider } from '#libs/models';
import { Database } from '#libs/persistence';
import { Readiness } from '#libs/service';
import { logger } from '#libs/tracing';
import type { AiProcessingOptions } from './config.js';
import { DeadLetterConsumer } from './dead-letters/dead-letter.consumer.js';
import { DeadLetterStore } from './dead-letters/dead-letter.store.js';
import { EventConsumer } from './events/event.consumer.js';
import { EventRecorder } from './events/event.recorder.js';
import { EventStore } from './events/event.store.js';
import { FlowCompiler } from './flows/flow.compiler.js';
import { FlowMatcher } from './flows/flow.matcher.js';
import { BulkReplayConsumer } from './replays/bulk-replay.consumer.js';
import { bulkReplays } from './replays/bulk-replays.js';
import { ReplayConsumer } from './replays/replay.consumer.js';
import { RetentionService, retentionOptions } from './retention/retention.service.js';
import type { RetentionOptions } from './retention/retention.service.js';
import { RetentionStore } from './retention/retention.store.js';
import { FailedRuns } from './runs/failed.runs.js';
import { RunAnnouncer } from './runs/run.announcer.js';
import { RunConsumer } from './runs/run.consumer.js';
import { RunProgressStore } from './runs/run.progress.store.js';
import { RunService } from './runs/run.service.js';
import { RunStore } from './runs/run.store.js';
import { RunWorker, runOptions } from './runs/run.worker.js';
import type { RunOptions } from './runs/run.worker.js';
import { StepResultStore } from './runs/step-result.store.js';

const log = logger('models');

/** Records events, runs their flows, replays them, keeps the dead letters, and deletes what is old. */
@Module({})
export class AiProcessingModule implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly stopping = new AbortController();

  constructor(
    private readonly models: ModelGateway,
    readiness: Readiness,
  ) {
    readiness.register('model', () => models.ready());
  }

  static register(options: AiProcessingOptions): DynamicModule {
    const provider = new OpenAiProvider({ baseUrl: options.modelBaseUrl, apiKey: options.modelApiKey, api: options.modelApi });
    const models = new ModelGateway({ provider });
    return {
      module: AiProcessingModule,
      controllers: [EventConsumer, RunConsumer, ReplayConsumer, BulkReplayConsumer, DeadLetterConsumer],
      providers: [
        { provide: ModelGateway, useValue: models },
        { provide: retentionOptions, useValue: options satisfies RetentionOptions },
        { provide: runOptions, useValue: options satisfies RunOptions },
        EventStore,
        EventRecorder,
        FlowCompiler,
        FlowMatcher,
        RetentionStore,
        RetentionService,
        RunStore,
        StepResultStore,
        RunProgressStore,
        RunAnnouncer,
        RunWorker,
        FailedRuns,
        RunService,
        DeadLetterStore,
        {
          provide: BulkOperations,
          inject: [Database, RecordProducer],
          useFactory: (database: Database, producer: RecordProducer) => bulkReplays(database, producer, { leaseMs: options.runLeaseMs }),
        },
      ],
    };
  }

  /** The start does not wait for the model, because events are recorded without it. */
  onApplicationBootstrap(): void {
    void this.models.check(this.stopping.signal).catch((error: unknown) => {
      const isWrongSetting = error instanceof ModelMisconfigured || error instanceof ModelCredentialRefused;
      if (isWrongSetting)
        log.error({ err: error }, 'check MODEL_BASE_URL and MODEL_API_KEY; runs wait until the model provider takes requests');
    });
  }

  /** Nest calls it after the consumers have stopped. */
  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort(new Error('The process stops'));
    await this.models.close();
  }
}
