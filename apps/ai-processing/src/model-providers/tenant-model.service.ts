import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { DomainError } from '#libs/contracts';
import { ModelGateway } from '#libs/models';
import { Configuration } from '#libs/persistence';
import { logger, workDone } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { ModelProviderPool } from './model-provider.pool.js';
import type { ModelAnswer } from './model-provider.store.js';
import { TenantModelStore } from './tenant-model.store.js';
import type { ProviderVersion } from './tenant-model.store.js';

const tickMs = 30_000;
const turnMs = 120_000;
const againAfterAnswerMs = 600_000;
const againAfterFailureMs = 180_000;
/** Providers that are asked at the same time. One that hangs is given up after ten seconds. */
const atOnce = 16;

const log = logger('models');

/**
 * Asks the providers of tenants for their models: each by one process, soon after its document was applied, every ten minutes, and every three after a
 * failure. Also says which models are out, as far as this process knows. `query` lists both, and warns of flows that name another model.
 */
@Injectable()
export class TenantModelService implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly passes = new Periodically('asking for the models of tenants’ providers', tickMs, (signal) => this.pass(signal), {
    atOnce: true,
  });

  constructor(
    private readonly configuration: Configuration,
    private readonly pool: ModelProviderPool,
    private readonly models: ModelGateway,
    private readonly store: TenantModelStore,
  ) {}

  onApplicationBootstrap(): void {
    this.passes.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.passes.stop();
  }

  private async pass(signal: AbortSignal): Promise<void> {
    await this.store.saveOutages([...this.models.endpoint.outages(), ...this.pool.outages()]);
    const providers = this.configuration.modelProviders().map(({ tenant, name, version }) => ({ tenant, name, version }));
    const due = providers.length === 0 ? [] : await this.store.takeTurns(providers, turnMs);
    const asker = async (): Promise<void> => {
      for (let next = due.pop(); next !== undefined && !signal.aborted; next = due.pop()) await this.askAt(next, signal);
    };
    await Promise.all(Array.from({ length: atOnce }, asker));
    await this.store.deleteOld();
  }

  private async askAt(provider: ProviderVersion, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    const answer = await this.answerOf(provider, signal);
    if (answer === undefined) return;
    const { tenant, name } = provider;
    const line = { tenant, provider: name, durationMs: performance.now() - startedAt };
    if ('models' in answer) workDone(log, 'tenant-models', { outcome: 'ok', ...line, models: answer.models.length });
    else workDone(log, 'tenant-models', { outcome: answer.failure.code, ...line, reason: answer.failure.message });
    await this.store.save(provider, answer, 'models' in answer ? againAfterAnswerMs : againAfterFailureMs);
  }

  /** Undefined if the process stops meanwhile, or the document is gone. */
  private async answerOf({ tenant, name }: ProviderVersion, signal: AbortSignal): Promise<ModelAnswer | undefined> {
    try {
      const models = await this.pool.endpointAt(tenant, name)?.models(signal);
      return models && { models };
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof DomainError)) throw error;
      return { failure: error };
    }
  }
}
