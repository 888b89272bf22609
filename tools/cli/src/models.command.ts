import { counted } from './counted.js';
import type { Connection } from './connection.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import type { ModelList } from '#libs/documents';

interface ModelProvider {
  address: string;
  models: string[] | null;
  listedAt: string | null;
  errorMessage: string | null;
}

/** The model providers with the names that each lists, and the reason if the last question failed. */
async function modelProviders(connection: Connection): Promise<ModelProvider[]> {
  const asked = await ask<{ modelProviders: ModelProvider[] }>(connection, '{ modelProviders { address models listedAt errorMessage } }');
  return asked.modelProviders;
}

/** Lists of models by their providers: those of the installation, and those of the tenant, by the applied version of their documents. */
export interface ProviderLists {
  readonly installation: readonly ModelList[];
  readonly tenant: string | undefined;
  readonly ofTenant: readonly (ModelList & { readonly provider: string; /** Where the models were listed. */ readonly baseUrl: string })[];
}

export const noLists: ProviderLists = { installation: [], tenant: undefined, ofTenant: [] };

/** Asks for the models that can be named. A provider that lists none, or was not asked yet, may have any, and has no list. */
export async function providerLists(connection: Connection): Promise<ProviderLists> {
  const installation = await modelProviders(connection);
  const asked = await ask<{ documents: { name: string }[]; models: ListedModel[] }>(
    connection,
    '{ documents(kind: Tenant) { name } models { provider name isListed isNamed address checkedAt } }',
  );
  const byProvider = Map.groupBy(asked.models, ({ provider }) => provider);
  const ofTenant = [...byProvider].flatMap(([provider, found]) => {
    if (provider === null || !found.some(({ isListed }) => isListed === true)) return [];
    const names = found.filter(({ isListed, isNamed }) => isListed === true || isNamed).map(({ name }) => name);
    const { address, checkedAt } = found[0]!;
    return [{ provider, address: `the ModelProvider ${provider}`, models: names, listedAt: checkedAt, baseUrl: address! }];
  });
  return { installation, tenant: asked.documents[0]?.name, ofTenant };
}

interface ListedModel {
  provider: string | null;
  name: string;
  isListed: boolean | null;
  isNamed: boolean;
  address: string | null;
  checkedAt: string | null;
}

interface TenantModel {
  provider: string | null;
  name: string;
  routes: string[];
  inputPrice: number | null;
  outputPrice: number | null;
  currency: string | null;
  state: string;
  reason: string | null;
}

const tenantModels =
  '{ models { provider name routes isListed inputPrice outputPrice currency requestsPerMinute tokensPerMinute state reason } documents(kind: ModelProvider) { name } }';

/** `millrace models`: the names that `infer` steps can use, as far as the providers list them or documents name them. */
export async function models(connection: Connection, output: Output): Promise<void> {
  const providers = await modelProviders(connection);
  if (providers.length === 0) output.note('No model provider has been asked yet: ai-processing asks at its start.');
  for (const { address, models: names, listedAt, errorMessage } of providers) {
    for (const name of names ?? []) output.result({ name, provider: address }, name);
    if (names !== null) output.note(`${names.length === 0 ? 'No models are' : countOf(names.length)} listed by ${address} at ${listedAt}.`);
    if (errorMessage !== null) output.note(`${address} cannot be asked: ${errorMessage}`);
  }
  const asked = await ask<{ models: TenantModel[]; documents: { name: string }[] }>(connection, tenantModels);
  const ofTenant = asked.models.filter(({ provider }) => provider !== null);
  for (const model of ofTenant) output.result(model, lineOf(model));
  const reasons = new Map(ofTenant.flatMap(({ provider, reason }) => (reason === null ? [] : [[provider, reason]])));
  for (const [provider, reason] of reasons) output.note(`ModelProvider ${provider} cannot be asked: ${reason}`);
  const silent = asked.documents.filter(({ name }) => ofTenant.every(({ provider }) => provider !== name));
  for (const { name } of silent)
    output.note(
      `ModelProvider ${name} has listed no models yet, and neither it (spec.models) nor a route names one: a step may name any that it has. If that stays so for minutes, its address or key is wrong, or it gives no list.`,
    );
}

function lineOf({ provider, name, routes, inputPrice, outputPrice, currency, state }: TenantModel): string {
  const price = inputPrice === null ? [] : [`${inputPrice} and ${outputPrice} ${currency} for a million tokens in and out`];
  const facts = [state.toLowerCase().replaceAll('_', ' '), ...price, ...(routes.length === 0 ? [] : [`in ${routes.join(', ')}`])];
  return `${provider}: ${name} (${facts.join('; ')})`;
}

function countOf(names: number): string {
  return `${counted(names, 'model')},`;
}
