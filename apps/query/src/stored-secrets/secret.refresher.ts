import { Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { DomainError, NotFound, document as documentSchema, storedSecretsOf } from '#libs/contracts';
import type { Document } from '#libs/contracts';
import { doubtsAbout, readAs, uncompilable } from '#libs/documents';
import type { DocumentProblem } from '#libs/documents';
import { Configuration, DocumentSecrets, DocumentTable, DocumentVersionMismatch, TenantDatabase } from '#libs/persistence';
import type { StoredVersion } from '#libs/persistence';
import { wallTimeMs } from '#libs/time';
import { gauge, logger } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { AuditTable } from '../audit/audit.table.js';
import type { DocumentName } from '../documents/document.operations.js';
import { isSame } from '../documents/document.rules.js';
import { refreshSecrets } from './stored-secret.operations.js';
import type { RefreshSecretsInput, StoredSecretRow } from './stored-secret.operations.js';
import { StoredSecrets } from './stored-secrets.js';

const log = logger('secrets');
const unusable = gauge(
  'millrace_secret_store_unusable',
  'Secrets of documents that the secret store does not give, or that cannot be used. Their documents go on with the secrets before.',
  {},
);

interface Finding {
  /** The version of the document that was looked at. A newer one was read from the store when it was applied. */
  readonly version: number;
  readonly readAt: Date;
  /** By field. */
  readonly problems: ReadonlyMap<string, string>;
  /** By field. */
  readonly warnings: ReadonlyMap<string, string>;
}

/** How often the secret store is looked into. */
export class SecretRefresh {
  constructor(readonly everyMs: number) {}
}

/**
 * Follows the secret store: a document whose secrets changed there gets a new version, which every process takes up as any other. What cannot be had or
 * used leaves the document as it is. All processes of `query` may do this at once: they find the same, and the second one has nothing to save.
 */
@Injectable()
export class SecretRefresher implements OnApplicationBootstrap, OnApplicationShutdown {
  /** By tenant, then by `Kind/name`. */
  private readonly findings = new Map<string, Map<string, Finding>>();
  private readonly refreshes: Periodically;

  constructor(
    private readonly stored: StoredSecrets,
    private readonly configuration: Configuration,
    private readonly database: TenantDatabase,
    private readonly table: DocumentTable,
    private readonly secrets: DocumentSecrets,
    private readonly audit: AuditTable,
    { everyMs }: SecretRefresh,
  ) {
    this.refreshes = new Periodically('following the secret store', everyMs, (signal) => this.refreshAll(signal), { atOnce: true });
  }

  onApplicationBootstrap(): void {
    if (this.stored.isThere) this.refreshes.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.refreshes.stop();
    await this.stored.close();
  }

  async list(tenant: string): Promise<StoredSecretRow[]> {
    const rows = await this.rowsOf(tenant);
    return rows.flatMap(({ kind, name, version, createdAt, document }) => {
      const last = this.findings.get(tenant)?.get(nameOf({ kind, name }));
      const finding = last?.version === version ? last : undefined;
      return storedSecretsOf(document).map(({ secret: { from }, path }) => {
        const field = path.join('.');
        const [problem, warning] = [finding?.problems.get(field) ?? null, finding?.warnings.get(field) ?? null];
        return { kind, name, field, ...from, readAt: finding?.readAt ?? createdAt, problem, warning };
      });
    });
  }

  /** @returns the documents that got a new version. @throws NotFound, SecretStoreUnavailable */
  async refresh({ tenant, actor }: Pick<Principal, 'tenant' | 'actor'>, { documents: only }: RefreshSecretsInput = {}): Promise<string[]> {
    const reading = this.stored.reading(tenant);
    const rows = await this.rowsOf(tenant);
    requireAmong(rows, only ?? []);
    const findings = new Map([...(this.findings.get(tenant) ?? [])].filter(([name]) => rows.some((row) => name === nameOf(row))));
    this.findings.set(tenant, findings);
    const changed: string[] = [];
    for (const row of only == null ? rows : rows.filter((one) => only.some((named) => isSame(named, one)))) {
      const name = nameOf(row);
      try {
        const { document, problems } = await reading.filled(row.document);
        const more = problems.length > 0 ? [] : await this.problemsOf(document);
        const amiss = [...problems, ...more];
        const finding = findingOf(row, amiss, amiss.length > 0 ? [] : doubtsAbout(document));
        findings.set(name, finding);
        const isNew = JSON.stringify(this.secrets.fingerprinted(row.document)) !== JSON.stringify(this.secrets.fingerprinted(document));
        const saved = amiss.length === 0 && isNew ? await this.save({ tenant, actor }, row, document) : undefined;
        if (saved === undefined) continue;
        findings.set(name, { ...finding, version: saved });
        changed.push(name);
      } catch (error) {
        if (error instanceof DomainError)
          findings.set(
            name,
            findingOf(
              row,
              storedSecretsOf(row.document).map(({ path }) => ({ path, message: error.message })),
            ),
          );
        throw error;
      } finally {
        unusable.set(this.unusableCount());
      }
    }
    return changed;
  }

  private async refreshAll(signal: AbortSignal): Promise<void> {
    for (const tenant of this.configuration.tenantNames()) {
      if (signal.aborted) return;
      if (!this.configuration.all(tenant).some(({ document }) => storedSecretsOf(document).length > 0)) {
        this.findings.delete(tenant);
        continue;
      }
      const changed = await this.refresh({ tenant, actor: 'secret-store' });
      if (changed.length > 0) log.info({ tenant, documents: changed }, 'secrets changed in the secret store');
    }
  }

  /** The current documents of the tenant that name the secret store. */
  private async rowsOf(tenant: string): Promise<StoredVersion[]> {
    const rows = await this.database.asTenant(tenant, (session) => this.table.current(session, tenant));
    return rows.filter(({ document }) => storedSecretsOf(document).length > 0);
  }

  private async problemsOf(document: Document): Promise<DocumentProblem[]> {
    const read = readAs(documentSchema, document);
    return 'problems' in read ? read.problems : uncompilable(document);
  }

  /** The new version; undefined if somebody else changed the document meanwhile: the next refresh looks at it again. */
  private async save(
    principal: Pick<Principal, 'tenant' | 'actor'>,
    { kind, name, version: expectedVersion }: StoredVersion,
    document: Document,
  ): Promise<number | undefined> {
    const { tenant, actor } = principal;
    try {
      return await this.database.asTenant(tenant, async (session) => {
        await this.table.lock(session, tenant);
        const { change, version } = await this.table.save(session, { document, actor, expectedVersion });
        if (change === 'unchanged') return undefined;
        await this.audit.recordIn(session, principal, [{ operation: refreshSecrets, target: `${kind}/${name}`, detail: { version } }]);
        return version;
      });
    } catch (error) {
      if (error instanceof DocumentVersionMismatch) return undefined;
      throw error;
    }
  }

  private unusableCount(): number {
    const all = [...this.findings.values()].flatMap((findings) => [...findings.values()]);
    return all.reduce((sum, { problems }) => sum + problems.size, 0);
  }
}

function nameOf({ kind, name }: DocumentName): string {
  return `${kind}/${name}`;
}

/** @throws NotFound for a document that does not name the secret store, or does not exist */
function requireAmong(rows: readonly DocumentName[], wanted: readonly DocumentName[]): void {
  const missing = wanted.filter((one) => !rows.some((row) => isSame(row, one))).map(nameOf);
  if (missing.length === 0) return;
  throw new NotFound('document', missing, {
    field: 'documents',
    message: `No secret of ${missing.join(', ')} comes from the secret store: it names none, or does not exist`,
  });
}

function findingOf({ version }: StoredVersion, problems: readonly DocumentProblem[], doubts: readonly DocumentProblem[] = []): Finding {
  return { version, readAt: new Date(wallTimeMs()), problems: byField(problems), warnings: byField(doubts) };
}

/** A problem of `from` belongs to the field that has it. */
function byField(problems: readonly DocumentProblem[]): ReadonlyMap<string, string> {
  const pathOf = (path: readonly string[]): string => path.slice(0, path.includes('from') ? path.lastIndexOf('from') : undefined).join('.');
  return new Map(problems.map(({ path, message }) => [pathOf(path), message]));
}
