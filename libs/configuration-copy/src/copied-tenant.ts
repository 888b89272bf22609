import { hash } from 'node:crypto';
import type { CheckableApiKey } from '#libs/auth';
import { apiVersion, document as documentSchema, mapSecrets } from '#libs/contracts';
import type { Document, FlowDocument, OnRequest, RequestRate, Scope, SourceDocument, TenantDocument } from '#libs/contracts';
import type { Stored, TenantConfiguration, TenantSnapshot } from '#libs/persistence';

/** The shape of {@link CopiedTenant}. A release with another number writes all tenants again. */
const format = 1;

/** The part of a tenant's configuration that doors need: its sources, what they answer for its flows, and the keys that may send events. */
export interface CopiedTenant {
  readonly sources: readonly { readonly name: string; readonly version: number; readonly spec: unknown }[];
  /** The rate of requests of the tenant. Releases before 2026-11-30 did not know it. */
  readonly rateLimit?: RequestRate;
  /** The flows that take requests. Releases until 2026-11-30 did not write them. */
  readonly flows?: readonly { readonly name: string; readonly version: number; readonly onRequest: OnRequest }[];
  readonly apiKeys: readonly {
    readonly id: string;
    readonly scopes: readonly Scope[];
    readonly expiresAt: string | null;
    /** In base64. */
    readonly secretHash: string;
  }[];
}

/** The scope that the doors of events ask for. */
const scope: Scope = 'ingest';

export function copyOf({ documents, apiKeys }: Pick<TenantConfiguration, 'documents' | 'apiKeys'>): CopiedTenant {
  return {
    sources: sourcesIn(documents).map(({ name, version, document: { spec } }) => ({ name, version, spec })),
    ...rateLimitIn(documents),
    flows: flowsIn(documents).map(({ name, version, document: { spec } }) => ({ name, version, onRequest: spec.onRequest! })),
    apiKeys: keysIn(apiKeys).map(({ id, scopes, expiresAt, secretHash }) => ({
      id,
      scopes,
      expiresAt: expiresAt?.toISOString() ?? null,
      secretHash: secretHash.toString('base64'),
    })),
  };
}

/**
 * Equal for equal content. A version of a source says the same for ever but for how its secrets are sealed, so specs do not count: two releases whose
 * schemas have other defaults would write the tenant again and again.
 */
export function digestOf({ documents, apiKeys }: Pick<TenantConfiguration, 'documents' | 'apiKeys'>): string {
  const sources = sourcesIn(documents).map(({ name, version, document }) => [name, version, sealedIn(document)]);
  const flows = flowsIn(documents).map(({ name, version }) => [name, version]);
  const keys = keysIn(apiKeys).map(({ id, scopes, expiresAt }) => [id, scopes, expiresAt?.getTime()]);
  const { rateLimit } = rateLimitIn(documents);
  return hash(
    'sha256',
    JSON.stringify([format, sources, keys, ...(rateLimit === undefined ? [] : [rateLimit]), ...(flows.length === 0 ? [] : [flows])]),
    'base64url',
  );
}

/** Fields that the schema gained since have their defaults. */
export function snapshotOf(tenant: string, asOfMs: number, { sources, flows = [], apiKeys, rateLimit }: CopiedTenant): TenantSnapshot {
  return {
    asOfMs,
    documents: [
      ...(rateLimit === undefined ? [] : [tenantWith(tenant, rateLimit)]),
      ...sources.map(({ name, version, spec }) => {
        const raw = { apiVersion, kind: 'Source', metadata: { tenant, name }, spec };
        const { data: document = raw as Document } = documentSchema.safeParse(raw);
        return { tenant, kind: 'Source' as const, name, version, document };
      }),
      ...flows.map(({ name, version, onRequest }) => {
        return { tenant, kind: 'Flow' as const, name, version, document: requestable(tenant, name, onRequest) };
      }),
    ],
    apiKeys: apiKeys.map(({ id, scopes, expiresAt, secretHash }) => ({
      id,
      tenant,
      scopes,
      expiresAt: expiresAt === null ? null : new Date(expiresAt),
      revokedAt: null,
      secretHash: Buffer.from(secretHash, 'base64'),
    })),
  };
}

function rateLimitIn(documents: TenantConfiguration['documents']): { rateLimit?: RequestRate } {
  const found = [...documents.values()].find(({ kind }) => kind === 'Tenant')?.document as TenantDocument | undefined;
  return found?.spec.rateLimit === undefined ? {} : { rateLimit: found.spec.rateLimit };
}

/** The document of a tenant, of which doors need nothing but its rate. */
function tenantWith(name: string, rateLimit: RequestRate): TenantSnapshot['documents'][number] {
  const document: TenantDocument = { apiVersion, kind: 'Tenant', metadata: { name }, spec: { displayName: name, rateLimit } };
  return { tenant: name, kind: 'Tenant', name, version: 1, document };
}

function sourcesIn(documents: TenantConfiguration['documents']): Stored<SourceDocument>[] {
  return [...documents.values()].filter((one): one is Stored<SourceDocument> => one.kind === 'Source');
}

/** A flow with what doors need of it, and nothing else: no process that has only the copy runs flows. */
function requestable(tenant: string, name: string, onRequest: OnRequest): FlowDocument {
  return { apiVersion, kind: 'Flow', metadata: { tenant, name }, spec: { on: {}, steps: [], onFailure: 'park-key', onRequest } };
}

function flowsIn(documents: TenantConfiguration['documents']): Stored<FlowDocument>[] {
  return [...documents.values()].filter(
    (one): one is Stored<FlowDocument> => one.kind === 'Flow' && (one.document as FlowDocument).spec.onRequest !== undefined,
  );
}

function keysIn(apiKeys: readonly CheckableApiKey[]): CheckableApiKey[] {
  return apiKeys.filter(({ scopes }) => scopes.includes(scope));
}

function sealedIn(document: Document): string[] {
  const sealed: string[] = [];
  mapSecrets(document, (secret) => {
    if ('sealed' in secret) sealed.push(secret.sealed);
    return secret;
  });
  return sealed;
}
