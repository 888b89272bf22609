import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { localModelOptions } from './config.js';
import type { LocalModelOptions } from './config.js';
import { FaultPlan } from './faults/fault-plan.js';
import { FaultsController } from './faults/faults.controller.js';
import { RateLimits } from './limits/rate-limits.js';
import { CompletionService } from './openai/completion.service.js';
import { CompletionsController } from './openai/completions.controller.js';
import { KeyGuard } from './openai/key.guard.js';

/** An OpenAI-compatible API over rules and small offline methods. It needs no network and no key, and is deterministic. */
@Module({})
export class LocalModelModule {
  static register(options: LocalModelOptions): DynamicModule {
    return {
      module: LocalModelModule,
      controllers: [CompletionsController, FaultsController],
      providers: [
        { provide: localModelOptions, useValue: options },
        { provide: RateLimits, useValue: new RateLimits(options) },
        FaultPlan,
        CompletionService,
        KeyGuard,
      ],
    };
  }
}
