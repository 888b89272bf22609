import type { ModelProviderDocument, ModelRouteDocument } from '#libs/contracts';
import { MemoryLimitStore } from '#libs/limits';
import { ModelEndpoint } from '#libs/models';
import type { ModelCandidate, ModelDirectory, ModelPlan, ModelProvider, ModelTarget } from '#libs/models';
import { CliFailure } from '../failure.js';

/** A document that says which models the steps of a flow ask. */
export type ModelDocument = ModelRouteDocument | ModelProviderDocument;

type Clock = ConstructorParameters<typeof ModelEndpoint>[0]['clock'];

/** Finds the routes of a tenant among the files, and asks each of their candidates in its place. The address and the key of a provider are not used. */
export class TestModels implements ModelDirectory {
  private readonly endpoints = new Map<string, ModelEndpoint>();

  /** @param answering what answers in the place of the provider of a name */
  constructor(
    private readonly documents: readonly ModelDocument[],
    private readonly answering: (provider: string) => ModelProvider,
    private readonly clock: Clock,
  ) {}

  /** @throws CliFailure if the route is not in the files */
  planOf(tenant: string, target: ModelTarget, installation: ModelEndpoint): ModelPlan {
    const candidate = (model: string, provider: string | undefined): ModelCandidate =>
      provider === undefined ? { endpoint: installation, model } : this.candidateAt(tenant, provider, model);
    if ('model' in target) return { candidates: [candidate(target.model, target.provider)], fallbackOn: new Set() };
    const { candidates, fallbackOn } = this.routeOf(tenant, target.route).spec;
    return {
      candidates: candidates.map(({ provider, model, timeoutMs }) => ({ ...candidate(model, provider), timeoutMs })),
      fallbackOn: new Set(fallbackOn),
    };
  }

  private routeOf(tenant: string, name: string): ModelRouteDocument {
    const routes = this.documents.filter((one) => one.kind === 'ModelRoute' && one.metadata.tenant === tenant) as ModelRouteDocument[];
    const found = routes.find(({ metadata }) => metadata.name === name);
    if (found !== undefined) return found;
    const known = routes.length === 0 ? 'none' : routes.map(({ metadata }) => metadata.name).join(', ');
    throw new CliFailure(
      `A step asks the model route ${name} of ${tenant}, which is not in the files (they have ${known}): give the ModelRoute document beside the flow, in its file or in the same folder with the folder as the path`,
      'unusable',
    );
  }

  /** The facts of the model come from the document of its provider, if that is in the files. Its limits are not kept: a test does not wait. */
  private candidateAt(tenant: string, name: string, model: string): ModelCandidate {
    const provider = this.documents.find(
      (one): one is ModelProviderDocument => one.kind === 'ModelProvider' && one.metadata.tenant === tenant && one.metadata.name === name,
    );
    const known = provider?.spec.models ?? {};
    const { structuredOutput, maxOutputTokens } = Object.hasOwn(known, model) ? known[model]! : {};
    return { endpoint: this.endpointOf(tenant, name), model, structuredOutput, maxOutputTokens };
  }

  private endpointOf(tenant: string, name: string): ModelEndpoint {
    let endpoint = this.endpoints.get(name);
    if (endpoint === undefined) {
      const { clock } = this;
      const limitStore = new MemoryLimitStore(clock.now);
      const remedy = `the ModelProvider ${name} of ${tenant}`;
      endpoint = new ModelEndpoint({ provider: this.answering(name), name, scope: `${tenant}/${name}`, limitStore, clock, remedy });
      this.endpoints.set(name, endpoint);
    }
    return endpoint;
  }

  /** Forgets the endpoints. */
  async close(): Promise<void> {
    await Promise.all([...this.endpoints.values()].map((endpoint) => endpoint.close()));
  }
}
