import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { DomainError } from '#libs/contracts';
import { ModelGateway, ModelUnavailable } from '#libs/models';
import { delayBefore, standardRetry } from '#libs/retries';
import { sleep } from '#libs/time';
import { counter, logger, workDone } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { ModelProviderStore } from './model-provider.store.js';
import type { ModelAnswer } from './model-provider.store.js';

const tickMs = 30_000;
const againAfterAnswerMs = 600_000;
const againAfterFailureMs = 60_000;

const questions = counter(
  'millrace_model_provider_questions_total',
  'Times the model provider was asked for its models, by how it ended: listed, unlisted (it lists none), or the code of the failure.',
  { outcome: '`listed`, `unlisted`, or a code of failures.md' },
);
const log = logger('models');

/**
 * Asks the model provider for its models: at the start of each process, every ten minutes by one of them, and every minute after a failure. `query` warns
 * of flows that name another model. Neither the start nor a run waits for it.
 */
@Injectable()
export class ModelProviderService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly passes = new Periodically('asking for the models of the provider', tickMs, (signal) => this.pass(signal), {
    atOnce: true,
  });
  private hasAsked = false;

  constructor(
    private readonly models: ModelGateway,
    private readonly store: ModelProviderStore,
  ) {}

  onApplicationBootstrap(): void {
    this.passes.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.passes.stop();
    await this.store.leave(this.models.endpoint.address).catch(() => undefined);
  }

  private async pass(signal: AbortSignal): Promise<void> {
    const { address } = this.models.endpoint;
    if (this.hasAsked && !(await this.store.takeTurn(address, againAfterFailureMs))) return;
    const answer = await this.ask(signal);
    if (answer === undefined) return;
    await this.store.save(address, answer, 'models' in answer ? againAfterAnswerMs : againAfterFailureMs);
    this.hasAsked = true;
  }

  /** Undefined if the process stops meanwhile. */
  private async ask(signal: AbortSignal): Promise<ModelAnswer | undefined> {
    const startedAt = performance.now();
    const line = (): { provider: string; durationMs: number } => ({
      provider: this.models.endpoint.address,
      durationMs: performance.now() - startedAt,
    });
    try {
      const models = await this.listed(signal);
      questions.inc({ outcome: models.length > 0 ? 'listed' : 'unlisted' });
      workDone(log, 'model-provider', { outcome: 'ok', ...line(), models: models.length });
      return { models };
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof DomainError)) throw error;
      questions.inc({ outcome: error.code });
      workDone(log, 'model-provider', { outcome: error.code, ...line(), reason: error.message });
      return { failure: error };
    }
  }

  /** Tries again for half a minute: a provider that starts together with this process, such as the local model, needs a moment. */
  private async listed(signal: AbortSignal): Promise<readonly string[]> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.models.endpoint.models(signal);
      } catch (error) {
        if (!(error instanceof ModelUnavailable) || failures > standardRetry.retries) throw error;
        await sleep(delayBefore(standardRetry, failures), signal);
      }
    }
  }
}
