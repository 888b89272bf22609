import { Injectable } from '@nestjs/common';
import { parseSourceAddress, sourceAddress } from '#libs/contracts';
import type { SourceDocument } from '#libs/contracts';
import { Configuration, DocumentSecrets, StorageUnavailable } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { resolveSource } from '#libs/sources';
import type { Source } from '#libs/sources';
import { LruMap } from '#libs/lru';
import { logger } from '#libs/tracing';
import { SourceUnusable } from './source.errors.js';

interface CatalogEntry {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly source: Source | SourceUnusable;
}

/** A source that is not known is looked for in Postgres at most so often. */
const lookAgainEveryMs = 1_000;
const rememberedSources = 10_000;

const log = logger('sources');

/** The sources in the configuration in memory, each compiled once per version. */
@Injectable()
export class SourceCatalog {
  private readonly entries = new Map<string, CatalogEntry>();
  /** The last time that a tenant was read again for a signature that did not fit, by the monotonic clock. */
  private readonly rereads = new LruMap<string, { readonly atMs: number; readonly done: Promise<void> }>(rememberedSources);
  /** When a source was looked for that is not known, by its address and the monotonic clock. */
  private readonly lookedAgain = new LruMap<string, number>(rememberedSources);

  constructor(
    private readonly configuration: Configuration,
    private readonly secrets: DocumentSecrets,
  ) {}

  /** @throws ConfigurationUnavailable, SourceUnusable */
  at(address: string): Source | undefined {
    const known = this.entries.get(address) ?? addressed(address);
    return known === null ? undefined : this.find(known.tenant, known.name);
  }

  /** @throws ConfigurationUnavailable, SourceUnusable */
  find(tenant: string, name: string): Source | undefined {
    const address = sourceAddress(tenant, name);
    const stored = this.configuration.source(tenant, name);
    if (stored === undefined) {
      this.entries.delete(address);
      return undefined;
    }
    const known = this.entries.get(address);
    const isCurrent = known !== undefined && known.version === stored.version;
    const source = isCurrent ? known.source : this.resolveOnce(stored);
    if (!isCurrent) this.entries.set(address, { tenant, name, version: stored.version, source });
    if (source instanceof SourceUnusable) throw source;
    return source;
  }

  /** The source at an address, found as by {@link findNew}. */
  async atNew(address: string): Promise<Source | undefined> {
    const known = this.entries.get(address) ?? addressed(address);
    return known === null ? undefined : this.findNew(known.tenant, known.name);
  }

  /**
   * Finds also a source that was applied a moment ago, whose notice is on its way. Callers need not have authenticated: one name is looked for at most
   * once in {@link lookAgainEveryMs}, and all that ask at the same time share a statement.
   * @throws as {@link find}
   */
  async findNew(tenant: string, name: string): Promise<Source | undefined> {
    const known = this.find(tenant, name);
    const address = sourceAddress(tenant, name);
    const lookedAt = this.lookedAgain.get(address) ?? -Infinity;
    if (known !== undefined || performance.now() - lookedAt < lookAgainEveryMs) return known;
    try {
      await this.configuration.newSource(tenant, name);
    } catch (error) {
      // Nobody can have applied it while Postgres is away.
      if (!(error instanceof StorageUnavailable)) throw error;
    }
    this.lookedAgain.set(address, performance.now());
    return this.find(tenant, name);
  }

  /**
   * Finds a source again that was changed a moment ago, such as by a new secret. What one tenant has is read at most once in {@link lookAgainEveryMs}, and
   * all that ask at the same time share that, because callers need not have authenticated.
   * @returns undefined if it has not changed
   * @throws as {@link find}
   */
  async changed({ tenant, name }: Source): Promise<Source | undefined> {
    const before = this.configuration.source(tenant, name)?.version;
    await this.rereadOf(tenant);
    return this.configuration.source(tenant, name)?.version === before ? undefined : this.find(tenant, name);
  }

  private rereadOf(tenant: string): Promise<void> {
    const last = this.rereads.get(tenant);
    const nowMs = performance.now();
    if (last !== undefined && nowMs - last.atMs < lookAgainEveryMs) return last.done;
    const done = this.configuration.readTenantAgain(tenant);
    this.rereads.set(tenant, { atMs: nowMs, done });
    return done;
  }

  /** Logs a document that cannot be used, once per version and not once per request. */
  private resolveOnce(stored: Stored<SourceDocument>): Source | SourceUnusable {
    try {
      return resolveSource(stored.tenant, stored.name, this.secrets.opened(stored.document).spec);
    } catch (error) {
      const address = sourceAddress(stored.tenant, stored.name);
      log.error({ err: error, source: address, version: stored.version }, 'a source cannot be used as its document stands');
      return new SourceUnusable(address, error);
    }
  }
}

function addressed(address: string): { tenant: string; name: string } | null {
  const parsed = parseSourceAddress(address);
  return parsed === null ? null : { tenant: parsed.tenant, name: parsed.source };
}
