import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { KeyRing } from '#libs/auth';
import { EventAppender } from '#libs/intake';
import { limitStoreFor } from '#libs/limits';
import { Configuration } from '#libs/persistence';
import { redisFor } from '#libs/redis';
import { CloudEventDoor } from './cloud-events/cloud-event.door.js';
import { CloudEventService, maxBatchEvents } from './cloud-events/cloud-event.service.js';
import type { IngestionOptions } from './config.js';
import { DecisionDoor } from './decisions/decision.door.js';
import { DecisionService } from './decisions/decision.service.js';
import { DecisionSettlement } from './decisions/decision.settlement.js';
import { DecisionStreams } from './decisions/decision.stream.js';
import { Drafts } from './decisions/drafts.js';
import { JobDoor } from './decisions/job.door.js';
import { ReplyFollower } from './decisions/reply.follower.js';
import { RequestableFlows } from './decisions/requestable-flows.js';
import { WaitingCallers } from './decisions/waiting-callers.js';
import { Callers } from './intake/callers.js';
import { IntakeLog } from './intake/intake-log.js';
import { Intake } from './intake/intake.js';
import { RequestLimits, requestLimitStore } from './limits/request.limits.js';
import { RequestLog } from './requests/request-log.js';
import { RequestKeeper, keptBodyBytes } from './requests/request.keeper.js';
import { SourceCatalog } from './sources/source-catalog.js';
import { WebhookDoor } from './webhooks/webhook.door.js';
import { WebhookService } from './webhooks/webhook.service.js';

/** The front door: verifies requests, finds tenant, customer and lane, appends the events to the log, and acknowledges them. */
@Module({})
export class IngestionModule {
  static register(options: IngestionOptions): DynamicModule {
    return {
      module: IngestionModule,
      providers: [
        SourceCatalog,
        EventAppender,
        Intake,
        RequestKeeper,
        RequestLog,
        RequestLimits,
        { provide: requestLimitStore, useFactory: () => limitStoreFor(redisFor(options)) },
        { provide: keptBodyBytes, useValue: options.keptBodyBytes },
        WebhookService,
        WebhookDoor,
        CloudEventService,
        CloudEventDoor,
        Callers,
        RequestableFlows,
        { provide: Drafts, useFactory: () => new Drafts() },
        ReplyFollower,
        DecisionStreams,
        DecisionSettlement,
        DecisionService,
        DecisionDoor,
        JobDoor,
        { provide: IntakeLog, useFactory: () => new IntakeLog(options.logEvery) },
        {
          provide: WaitingCallers,
          useFactory: () => new WaitingCallers({ ofProcess: options.mostWaitingCallers, ofTenant: options.mostWaitingCallersOfTenant }),
        },
        { provide: maxBatchEvents, useValue: options.maxBatchEvents },
        {
          provide: KeyRing,
          inject: [Configuration],
          useFactory: (configuration: Configuration) => new KeyRing((id) => configuration.apiKey(id), {}),
        },
      ],
    };
  }
}
