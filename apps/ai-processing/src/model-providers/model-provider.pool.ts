import { Inject, Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { NotFound, clearText, resolvedService } from '#libs/contracts';
import type { ModelFacts, ModelProviderDocument } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import type { LimitStore } from '#libs/limits';
import { ModelEndpoint, OpenAiProvider, modelConnections, systemClock } from '#libs/models';
import type { ModelCandidate, ModelDirectory, ModelPlan, ModelTarget } from '#libs/models';
import { Configuration, DocumentSecrets } from '#libs/persistence';
import type { Stored } from '#libs/persistence';

/** The token of the {@link LimitStore} of the process. */
export const modelLimitStore = Symbol('the limits of models');

/** An endpoint with the version of the document that it was made from. */
interface Opened {
  readonly version: number;
  readonly endpoint: ModelEndpoint;
}

/**
 * Finds the models that flows name, and keeps an endpoint for each ModelProvider document that was used: its connections, and what is known of its models.
 * A new version of a document has an endpoint of its own; the one before is closed when its calls have ended.
 */
@Injectable()
export class ModelProviderPool implements ModelDirectory, OnApplicationBootstrap, OnApplicationShutdown {
  private readonly opened = new Map<string, Opened>();
  private readonly closings = new Set<Promise<void>>();
  private stopListening: (() => void) | undefined;

  constructor(
    private readonly configuration: Configuration,
    private readonly secrets: DocumentSecrets,
    private readonly http: HttpClient,
    @Inject(modelLimitStore) private readonly limitStore: LimitStore,
  ) {}

  onApplicationBootstrap(): void {
    this.stopListening = this.configuration.onRead(() => this.closeReplaced());
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopListening?.();
    for (const key of this.opened.keys()) this.close(key);
    await Promise.all(this.closings);
  }

  /** @throws NotFound; DocumentSecretsUnreadable */
  planOf(tenant: string, target: ModelTarget, installation: ModelEndpoint): ModelPlan {
    const candidate = (model: string, provider: string | undefined): ModelCandidate =>
      provider === undefined ? { endpoint: installation, model } : this.candidateAt(tenant, provider, model);
    if ('model' in target) return { candidates: [candidate(target.model, target.provider)], fallbackOn: new Set() };
    const route = this.configuration.modelRoute(tenant, target.route);
    if (route === undefined) throw new NotFound('modelRoute', target.route);
    const { candidates, fallbackOn } = route.document.spec;
    return {
      candidates: candidates.map(({ provider, model, timeoutMs }) => ({ ...candidate(model, provider), timeoutMs })),
      fallbackOn: new Set(fallbackOn),
    };
  }

  /** The endpoint of a tenant's provider; undefined if there is no such document. @throws DocumentSecretsUnreadable */
  endpointAt(tenant: string, name: string): ModelEndpoint | undefined {
    const stored = this.configuration.modelProvider(tenant, name);
    return stored && this.endpointOf(stored);
  }

  /** The models of tenants' providers of which this process makes no calls, or only a few. */
  outages(): ReturnType<ModelEndpoint['outages']> {
    return [...this.opened.values()].flatMap(({ endpoint }) => endpoint.outages());
  }

  private candidateAt(tenant: string, name: string, model: string): ModelCandidate {
    const stored = this.configuration.modelProvider(tenant, name);
    if (stored === undefined) throw new NotFound('modelProvider', name);
    const { models, currency, limits } = stored.document.spec;
    const facts: ModelFacts = Object.hasOwn(models, model) ? models[model]! : {};
    const { price, structuredOutput, maxOutputTokens } = facts;
    return {
      endpoint: this.endpointOf(stored),
      model,
      price: price === undefined ? undefined : { ...price, currency },
      limits: facts.limits ?? limits,
      structuredOutput,
      maxOutputTokens,
    };
  }

  private endpointOf(stored: Stored<ModelProviderDocument>): ModelEndpoint {
    const key = `${stored.tenant}/${stored.name}`;
    const known = this.opened.get(key);
    if (known?.version === stored.version) return known.endpoint;
    if (known !== undefined) this.close(key);
    const endpoint = this.open(stored);
    this.opened.set(key, { version: stored.version, endpoint });
    return endpoint;
  }

  private open({ tenant, name, document }: Stored<ModelProviderDocument>): ModelEndpoint {
    const { spec } = this.secrets.opened(document);
    const { baseUrl, ...dialect } = resolvedService(spec);
    const provider = new OpenAiProvider({
      baseUrl,
      apiKey: spec.apiKey === undefined ? undefined : clearText(spec.apiKey),
      headers: Object.fromEntries(Object.entries(spec.headers).map(([header, value]) => [header, clearText(value)])),
      dialect,
      api: spec.api,
      agent: this.http.agentFor(new URL(baseUrl), modelConnections),
    });
    return new ModelEndpoint({
      provider,
      name,
      scope: `${tenant}/${name}`,
      limitStore: this.limitStore,
      clock: systemClock,
      remedy: `the ModelProvider ${name} of ${tenant}`,
    });
  }

  /** Closes the endpoints of documents that were replaced or removed. */
  private closeReplaced(): void {
    for (const [key, { version }] of this.opened) {
      const [tenant, name] = key.split('/') as [string, string];
      if (this.configuration.modelProvider(tenant, name)?.version !== version) this.close(key);
    }
  }

  private close(key: string): void {
    const closing = this.opened.get(key)!.endpoint.close();
    this.opened.delete(key);
    this.closings.add(closing);
    void closing.finally(() => this.closings.delete(closing));
  }
}
