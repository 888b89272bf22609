import { Injectable } from '@nestjs/common';
import { resolvedService } from '#libs/contracts';
import type { ModelProviderDocument, ModelRouteDocument } from '#libs/contracts';
import { documentIdOf } from '#libs/documents';
import type { ModelList } from '#libs/documents';
import { DocumentTable, TenantDatabase, statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import { inUse } from './model-provider.table.js';
import type { ModelProviderRow } from './model-provider.operations.js';
import type { ModelRow, ModelsInput } from './model.operations.js';

const ofTenant = statement(
  'query.model.ofTenant',
  `SELECT name, version, models, listed_at AS "listedAt", asked_at AS "askedAt", error_code AS "errorCode", error_message AS "errorMessage"
   FROM tenant_model_provider WHERE tenant_id = $1`,
);

/** Each process says every 30 s which models are out. */
const outages = statement(
  'query.model.outages',
  `SELECT provider, model FROM model_outage WHERE tenant_id = $1 AND seen_at > statement_timestamp() - interval '75 seconds'`,
);

interface AskedRow extends Omit<ModelProviderRow, 'address' | 'askedAt'> {
  readonly name: string;
  readonly version: number;
  readonly askedAt: Date | null;
}

type Answer = Pick<AskedRow, 'models' | 'errorCode' | 'errorMessage' | 'askedAt'> & Partial<Pick<ModelProviderRow, 'address'>>;

/** A provider with the names of its models, and what its document says of them. */
interface Known {
  readonly provider: string | null;
  readonly answers: readonly Answer[];
  readonly named: readonly string[];
  readonly spec?: ModelProviderDocument['spec'];
}

/** The models of a tenant: of its documents, and of what `ai-processing` was told by providers. */
@Injectable()
export class ModelTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
  ) {}

  /** By provider and name. */
  list(tenant: string, { provider, route }: ModelsInput): Promise<ModelRow[]> {
    return this.database.asTenant(tenant, async (session) => {
      const out = new Set(
        (await session.query<{ provider: string; model: string }>(outages, [tenant])).map((each) => keyOf(each.provider, each.model)),
      );
      const routes = await this.routesOf(session, tenant);
      const rows = (await this.known(session, tenant, routes)).flatMap((known) => rowsOf(known, routes, out));
      return rows.filter(
        (row) => (provider === undefined || row.provider === provider) && (route === undefined || row.routes.includes(route)),
      );
    });
  }

  /**
   * The models that the current versions of the tenant's providers list, for the check of documents. The names in a document count as listed.
   * @param changes documents that are to be applied: a provider that moves to another address is left out
   */
  lists(tenant: string, changes: readonly unknown[] = []): Promise<ModelList[]> {
    return this.database.asTenant(tenant, async (session) => {
      const asked = await session.query<AskedRow>(ofTenant, [tenant]);
      if (asked.length === 0) return [];
      return (await this.documents.current(session, tenant, 'ModelProvider')).flatMap(({ name, version, document }) => {
        const { models, listedAt } = asked.find((row) => row.name === name && row.version === version) ?? {};
        const { spec } = document as ModelProviderDocument;
        if (models === undefined || models === null || changes.some((change) => moves(change, tenant, name, spec))) return [];
        const all = models.length === 0 ? [] : [...new Set([...models, ...Object.keys(spec.models)])];
        return [{ provider: name, address: `the ModelProvider ${name}`, models: all, listedAt: listedAt ?? null }];
      });
    });
  }

  private async known(session: Session, tenant: string, routes: ReadonlyMap<string, readonly string[]>): Promise<Known[]> {
    const asked = await session.query<AskedRow>(ofTenant, [tenant]);
    const providers = (await this.documents.current(session, tenant, 'ModelProvider')).map(({ name, version, document }): Known => {
      const { spec } = document as ModelProviderDocument;
      const answers = asked.filter((row) => row.name === name && row.version === version);
      return { provider: name, spec, answers, named: [...Object.keys(spec.models), ...namedOf(routes, name)] };
    });
    const installation = { provider: null, answers: await session.query<ModelProviderRow>(inUse), named: namedOf(routes, '-') };
    return [installation, ...providers];
  }

  /** The routes by provider and model. */
  private async routesOf(session: Session, tenant: string): Promise<Map<string, string[]>> {
    const routes = new Map<string, string[]>();
    for (const { name, document } of await this.documents.current(session, tenant, 'ModelRoute'))
      for (const { provider, model } of (document as ModelRouteDocument).spec.candidates) {
        const key = keyOf(provider ?? '-', model);
        routes.set(key, [...new Set([...(routes.get(key) ?? []), name])]);
      }
    return routes;
  }
}

/** A name of a document has no `/`; `-` is no name of one. */
function keyOf(provider: string, model: string): string {
  return `${provider}/${model}`;
}

/** True if a document that is to be applied gives the provider another address. */
function moves(change: unknown, tenant: string, name: string, { service, baseUrl }: ModelProviderDocument['spec']): boolean {
  if (documentIdOf(change) !== `${tenant}/ModelProvider/${name}`) return false;
  const { spec } = change as { spec?: { service?: unknown; baseUrl?: unknown } | null };
  return (spec?.service ?? 'compatible') !== service || spec?.baseUrl !== baseUrl;
}

function namedOf(routes: ReadonlyMap<string, readonly string[]>, provider: string): string[] {
  return [...routes.keys()].filter((key) => key.startsWith(`${provider}/`)).map((key) => key.slice(provider.length + 1));
}

function rowsOf(
  { provider, answers, named, spec }: Known,
  routes: ReadonlyMap<string, readonly string[]>,
  out: ReadonlySet<string>,
): ModelRow[] {
  const listed = new Set(answers.flatMap(({ models }) => models ?? []));
  const listsAll = answers.length > 0 && answers.every(({ models }) => models !== null && models.length > 0);
  return [...new Set([...listed, ...named])].toSorted().map((name) => {
    const isNamed = spec !== undefined && Object.hasOwn(spec.models, name);
    const facts = isNamed ? spec.models[name]! : {};
    const limits = facts.limits ?? spec?.limits;
    const key = keyOf(provider ?? '-', name);
    const answer = answers.find(({ models }) => models?.includes(name)) ?? answers[0];
    return {
      provider,
      name,
      routes: (routes.get(key) ?? []).toSorted(),
      isListed: listed.has(name) ? true : listsAll ? false : null,
      isNamed,
      address: spec === undefined ? (answer?.address ?? null) : resolvedService(spec).baseUrl,
      inputPrice: facts.price?.input ?? null,
      outputPrice: facts.price?.output ?? null,
      currency: facts.price === undefined ? null : spec!.currency,
      requestsPerMinute: limits?.requestsPerMinute ?? null,
      tokensPerMinute: limits?.tokensPerMinute ?? null,
      state: stateOf(answer, out.has(key)),
      reason: answer?.errorMessage ?? null,
      checkedAt: answer?.askedAt ?? null,
    };
  });
}

function stateOf(answer: Answer | undefined, isOut: boolean): ModelRow['state'] {
  if (answer?.errorCode === 'model.credential') return 'keyRefused';
  if (answer?.errorCode === 'model.misconfigured') return 'misconfigured';
  if (isOut) return 'outage';
  if (answer === undefined || answer.askedAt === null) return 'unknown';
  return answer.errorCode === null || answer.errorCode === 'model.limited' ? 'usable' : 'outage';
}
