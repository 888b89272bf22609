import { hash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { SecretBox } from '#libs/auth';
import { apiVersion, document as documentSchema, mapSecrets, tenantOf } from '#libs/contracts';
import type { Document, DocumentKind, DocumentLookup } from '#libs/contracts';
import type { Session } from './database.js';
import { DocumentVersionMismatch } from './document.errors.js';
import { DocumentSecrets } from './document-secrets.js';
import { statement } from './statement.js';

/** A version of a document. Versions are never changed: a change is a new one. */
export interface Stored<D extends Document = Document> {
  readonly tenant: string;
  readonly kind: D['kind'];
  readonly name: string;
  readonly version: number;
  readonly document: D;
}

/** A version with who saved it, and when. */
export interface StoredVersion<D extends Document = Document> extends Stored<D> {
  readonly createdAt: Date;
  readonly createdBy: string;
}

export interface DocumentReference {
  tenant: string;
  kind: DocumentKind;
  name: string;
}

interface Row {
  tenant_id: string;
  kind: DocumentKind;
  name: string;
  version: number;
  spec: unknown;
  digest: string;
  created_at: Date;
  created_by: string;
}

const columns = 'tenant_id, kind, name, version, spec, digest, created_at, created_by';

/** The highest version is the current one; where its spec is null, the document was removed. */
const current = (where: string): string => `
  SELECT ${columns} FROM (
    SELECT DISTINCT ON (tenant_id, kind, name) ${columns} FROM document ${where} ORDER BY tenant_id, kind, name, version DESC
  ) latest WHERE spec IS NOT NULL ORDER BY tenant_id, kind, name`;
const currentOfTenant = statement('document.current', current('WHERE tenant_id = $1 AND ($2::text IS NULL OR kind = $2)'));
const currentOfAll = statement('document.currentOfAll', current(''));
const lockTenant = statement('document.lockTenant', `SELECT pg_advisory_xact_lock(hashtextextended('millrace.documents/' || $1, 0))`);
const latest = statement(
  'document.latest',
  `SELECT ${columns} FROM document WHERE tenant_id = $1 AND kind = $2 AND name = $3 ORDER BY version DESC LIMIT 1`,
);
const oneVersion = statement(
  'document.version',
  `SELECT ${columns} FROM document WHERE tenant_id = $1 AND kind = $2 AND name = $3 AND version = $4 AND spec IS NOT NULL`,
);
const existing = statement(
  'document.existing',
  `SELECT wanted.tenant, wanted.name FROM unnest($2::text[], $3::text[]) AS wanted(tenant, name)
   WHERE (SELECT spec IS NOT NULL FROM document
          WHERE tenant_id = wanted.tenant AND kind = $1 AND document.name = wanted.name ORDER BY version DESC LIMIT 1)`,
);
/** In whatever version, also of those whose newest one says that they were removed. */
const everNamed = statement(
  'document.everNamed',
  `SELECT DISTINCT kind, name FROM document WHERE tenant_id = $1 AND kind = ANY ($2::text[]) AND name = ANY ($3::text[])`,
);
/** Versions are never deleted, so the number grows with each change and each removal. */
const versionCounts = statement(
  'document.versionCounts',
  `SELECT tenant_id AS tenant, count(*)::integer AS versions FROM document WHERE $1::text[] IS NULL OR tenant_id = ANY ($1) GROUP BY tenant_id`,
);
const insert = statement(
  'document.insert',
  `INSERT INTO document (tenant_id, kind, name, version, spec, digest, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
   ON CONFLICT DO NOTHING RETURNING version`,
);
const page = statement(
  'document.page',
  `SELECT ${columns} FROM document WHERE spec IS NOT NULL AND (tenant_id, kind, name, version) > ($1, $2, $3, $4)
   ORDER BY tenant_id, kind, name, version LIMIT 500`,
);
const replaceSpec = statement(
  'document.replaceSpec',
  'UPDATE document SET spec = $5, digest = $6 WHERE tenant_id = $1 AND kind = $2 AND name = $3 AND version = $4',
);

/** Documents as versions. Secrets go in either way, in the clear or sealed, and are stored and come out sealed. */
@Injectable()
export class DocumentTable {
  private readonly secrets: DocumentSecrets;

  constructor(secretBox: SecretBox) {
    this.secrets = new DocumentSecrets(secretBox);
  }

  async current(session: Session, tenant: string, kind?: DocumentKind): Promise<StoredVersion[]> {
    return (await session.query<Row>(currentOfTenant, [tenant, kind ?? null])).map(storedOf);
  }

  /**
   * Waits until no other transaction that called this changes documents of the tenant, and keeps others waiting until this one ends. What one
   * document says about another, such as that it exists, stays true in between.
   */
  async lock(session: Session, tenant: string): Promise<void> {
    await session.query(lockTenant, [tenant]);
  }

  /** The current documents of every tenant, for the services that keep them in memory. */
  async currentOfAll(session: Session): Promise<StoredVersion[]> {
    return (await session.query<Row>(currentOfAll)).map(storedOf);
  }

  /** Finds the names among these that a document of these kinds has, or had before it was removed. */
  everNamed(
    session: Session,
    tenant: string,
    kinds: readonly DocumentKind[],
    names: readonly string[],
  ): Promise<{ kind: DocumentKind; name: string }[]> {
    return session.query(everNamed, [tenant, kinds, names]);
  }

  /** Says which of these documents exist, of any tenants. */
  existing(
    session: Session,
    kind: DocumentKind,
    documents: readonly { tenant: string; name: string }[],
  ): Promise<{ tenant: string; name: string }[]> {
    return session.query(existing, [kind, documents.map(({ tenant }) => tenant), documents.map(({ name }) => name)]);
  }

  /**
   * Returns how many versions of documents each tenant has saved, removals among them: a tenant whose number is the same has changed nothing.
   * @param tenants null: all
   */
  async versionCounts(session: Session, tenants: readonly string[] | null): Promise<Map<string, number>> {
    const rows = await session.query<{ tenant: string; versions: number }>(versionCounts, [tenants]);
    return new Map(rows.map(({ tenant, versions }) => [tenant, versions]));
  }

  async version(session: Session, { tenant, kind, name }: DocumentReference, version: number): Promise<StoredVersion | undefined> {
    const [row] = await session.query<Row>(oneVersion, [tenant, kind, name, version]);
    return row === undefined ? undefined : storedOf(row);
  }

  /**
   * Saves a new version, unless the current one says the same. Unchanged secrets say the same, whichever way they are written; after a rotation
   * of the key they do not, so applying the documents again seals every secret with the new key.
   * @param write.expectedVersion the version that the caller changed, 0 for none; default: whichever is current
   * @throws SecretUnreadable where a sealed secret was not sealed here, for this document and field
   * @throws DocumentVersionMismatch if another version than `expectedVersion` is current
   */
  async save(
    session: Session,
    { document, actor, expectedVersion }: { document: Document; actor: string; expectedVersion?: number | undefined },
  ): Promise<{ version: number; change: 'created' | 'changed' | 'unchanged' }> {
    const sealed = this.secrets.sealed(document);
    const reference = { tenant: tenantOf(document), kind: document.kind, name: document.metadata.name };
    const digest = digestOf(sealed);
    return this.append(session, reference, { actor, expectedVersion }, (before) =>
      before?.digest === digest ? null : { spec: sealed.spec, digest },
    );
  }

  /**
   * Appends a version without a spec. The earlier ones stay: runs and history refer to them.
   * @throws DocumentVersionMismatch as {@link save}
   */
  async remove(
    session: Session,
    { actor, expectedVersion, ...reference }: DocumentReference & { actor: string; expectedVersion?: number | undefined },
  ): Promise<{ version: number; change: 'removed' | 'unchanged' }> {
    const { version, change } = await this.append(session, reference, { actor, expectedVersion }, (before) =>
      before === undefined ? null : { spec: null, digest: 'removed' },
    );
    return { version, change: change === 'unchanged' ? 'unchanged' : 'removed' };
  }

  /**
   * Seals the secrets of every version of every tenant's documents in the current format under the current key. What a version says stays the
   * same. Can be repeated, and run while services work that know the format and the key.
   * @returns how many versions it wrote, and the secrets that cannot be opened, such as `acme/Source/shop/3 spec.secrets.0`
   */
  async resealAll(session: Session): Promise<{ resealed: number; unreadable: string[] }> {
    let resealed = 0;
    const unreadable: string[] = [];
    let rows: Row[];
    let after: Pick<Row, 'tenant_id' | 'kind' | 'name' | 'version'> = { tenant_id: '', kind: '' as DocumentKind, name: '', version: 0 };
    do {
      rows = await session.query<Row>(page, keyOf(after));
      for (const row of rows) {
        const before = storedOf(row).document;
        const document = this.secrets.resealed(before, (path) => unreadable.push(`${keyOf(row).join('/')} ${path.join('.')}`));
        if (document === before) continue;
        await session.query(replaceSpec, [...keyOf(row), JSON.stringify(document.spec), digestOf(document)]);
        resealed++;
      }
      after = rows.at(-1) ?? after;
    } while (rows.length > 0);
    return { resealed, unreadable };
  }

  /** @param next makes the next version from the current one (undefined if there is none); null if nothing changes */
  private async append(
    session: Session,
    { tenant, kind, name }: DocumentReference,
    { actor, expectedVersion }: { actor: string; expectedVersion?: number | undefined },
    next: (before: Row | undefined) => { spec: object | null; digest: string } | null,
  ): Promise<{ version: number; change: 'created' | 'changed' | 'unchanged' }> {
    for (;;) {
      const [row] = await session.query<Row>(latest, [tenant, kind, name]);
      const before = row?.spec === null ? undefined : row;
      const found = before?.version ?? 0;
      if (expectedVersion !== undefined && expectedVersion !== found) {
        throw new DocumentVersionMismatch({ kind, name }, expectedVersion, found);
      }
      const after = next(before);
      const version = row?.version ?? 0;
      if (after === null) return { version, change: 'unchanged' };
      const spec = after.spec === null ? null : JSON.stringify(after.spec);
      const saved = await session.query(insert, [tenant, kind, name, version + 1, spec, after.digest, actor]);
      if (saved.length > 0) return { version: version + 1, change: before === undefined ? 'created' : 'changed' };
      // Somebody else saved that version at the same moment: look again.
    }
  }
}

/** Fields that the schema gained since the version was saved have their defaults. A version that no longer fits the schema is returned as stored. */
/** Finds documents among these, of one tenant. */
export function lookupIn(documents: readonly Pick<StoredVersion, 'kind' | 'name' | 'document'>[]): DocumentLookup {
  const byName = new Map(documents.map(({ kind, name, document }) => [`${kind}/${name}`, document]));
  return (kind, name) => byName.get(`${kind}/${name}`);
}

function storedOf({ tenant_id: tenant, kind, name, version, spec, created_at: createdAt, created_by: createdBy }: Row): StoredVersion {
  const metadata = kind === 'Tenant' ? { name } : { tenant, name };
  const raw = { apiVersion, kind, metadata, spec };
  const { data: document = raw as Document } = documentSchema.safeParse(raw);
  return { tenant, kind, name, version, document, createdAt, createdBy };
}

function keyOf({ tenant_id: tenant, kind, name, version }: Pick<Row, 'tenant_id' | 'kind' | 'name' | 'version'>): unknown[] {
  return [tenant, kind, name, version];
}

/** A digest of the document's content, whatever the order of its fields. A secret counts by its fingerprint and its place in the secret store. */
function digestOf(sealed: Document): string {
  const { spec } = mapSecrets(sealed, (secret) => ('fingerprint' in secret ? { ...secret, sealed: '' } : secret));
  return hash('sha256', JSON.stringify(spec, withSortedKeys), 'hex');
}

function withSortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
