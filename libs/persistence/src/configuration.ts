import { SecretBox } from '#libs/auth';
import type { CheckableApiKey } from '#libs/auth';
import { DomainError, mapSecrets } from '#libs/contracts';
import type { DestinationDocument, Document, FlowDocument, SourceDocument, TenantDocument } from '#libs/contracts';
import { logger } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { ApiKeyTable } from './api-key.table.js';
import type { Database } from './database.js';
import { DocumentTable } from './document.table.js';
import type { Stored } from './document.table.js';
import type { Subscription } from './listener.js';
import { StorageUnavailable } from './storage.errors.js';

/** Nothing has been read since the process started, so nothing can be said about any document or key. */
export class ConfigurationUnavailable extends DomainError {
  readonly code = 'configuration.unavailable';
  override readonly ours = true;
  override readonly retryAfterMs = 2_000;

  constructor() {
    super('The configuration has not been read yet; come back in a moment.');
  }
}

export interface ConfigurationOptions {
  secretBox: SecretBox;
  /** For changes whose notice was lost; default 30 000. */
  refreshMs?: number;
}

interface Snapshot {
  /** Which versions and keys it was made from: the same again is not made again. */
  readonly made: string;
  readonly documents: ReadonlyMap<string, Stored>;
  readonly flows: ReadonlyMap<string, readonly Stored<FlowDocument>[]>;
  readonly apiKeys: ReadonlyMap<string, CheckableApiKey>;
}

/** The channel that the trigger of 0001-spine notifies. */
const channel = 'millrace_configuration';
const maxOldFlowVersions = 500;
const log = logger('configuration');

/**
 * Every tenant's current documents, secrets in the clear, and active API keys, in memory. Read at start, again on a notice from Postgres, and
 * every `refreshMs`. While Postgres is away the last read goes on serving.
 */
export class Configuration {
  private readonly documentTable: DocumentTable;
  private readonly apiKeyTable = new ApiKeyTable();
  private readonly oldFlows = new Map<string, Stored<FlowDocument>>();
  private snapshot: Snapshot | undefined;
  private subscription: Subscription | undefined;
  private readonly refreshes: Periodically;
  private reading: Promise<void> | undefined;
  private isStale = false;

  constructor(
    private readonly database: Database,
    private readonly options: ConfigurationOptions,
  ) {
    this.documentTable = new DocumentTable(options.secretBox);
    this.refreshes = new Periodically('reading the configuration', options.refreshMs ?? 30_000, () => this.refresh());
  }

  /** Reads once. Where Postgres is away it resolves all the same, goes on trying, and `ready` says when it has succeeded. */
  async start(): Promise<void> {
    this.subscription = await this.database.listen(channel, () => void this.refresh());
    await this.refresh();
    this.refreshes.start();
  }

  async stop(): Promise<void> {
    await this.refreshes.stop();
    await this.subscription?.close();
    await this.reading;
  }

  ready(): boolean {
    return this.snapshot !== undefined;
  }

  /** @throws ConfigurationUnavailable, as all that follow, before the first read */
  source(tenant: string, name: string): Stored<SourceDocument> | undefined {
    return this.find(tenant, 'Source', name) as Stored<SourceDocument> | undefined;
  }

  destination(tenant: string, name: string): Stored<DestinationDocument> | undefined {
    return this.find(tenant, 'Destination', name) as Stored<DestinationDocument> | undefined;
  }

  tenant(name: string): Stored<TenantDocument> | undefined {
    return this.find(name, 'Tenant', name) as Stored<TenantDocument> | undefined;
  }

  /** By name. */
  flows(tenant: string): readonly Stored<FlowDocument>[] {
    return this.current().flows.get(tenant) ?? [];
  }

  /**
   * The version a run started with: from memory where it is the current one or was asked for before, else from Postgres.
   * @throws StorageUnavailable
   * @throws Error where there never was such a version, which no run can name
   */
  async flowVersion(tenant: string, name: string, version: number): Promise<Stored<FlowDocument>> {
    const current = this.find(tenant, 'Flow', name);
    if (current?.version === version) return current as Stored<FlowDocument>;
    const key = `${tenant}/${name}/${version}`;
    const known = this.oldFlows.get(key);
    if (known !== undefined) return known;
    const stored = await this.documentTable.version(this.database, { tenant, kind: 'Flow', name }, version);
    if (stored === undefined) throw new Error(`The flow ${name} of ${tenant} has no version ${version}`);
    if (this.oldFlows.size >= maxOldFlowVersions) this.oldFlows.delete(this.oldFlows.keys().next().value!);
    this.oldFlows.set(key, stored as Stored<FlowDocument>);
    return stored as Stored<FlowDocument>;
  }

  /** Undefined for a key that is unknown, revoked or was expired at the last read. */
  apiKey(id: string): CheckableApiKey | undefined {
    return this.current().apiKeys.get(id);
  }

  private find(tenant: string, kind: Document['kind'], name: string): Stored | undefined {
    return this.current().documents.get(addressOf({ tenant, kind, name }));
  }

  private current(): Snapshot {
    if (this.snapshot === undefined) throw new ConfigurationUnavailable();
    return this.snapshot;
  }

  /** Resolves when what was committed before the call has been read, or could not be. Never rejects. */
  private refresh(): Promise<void> {
    this.isStale = true;
    this.reading ??= this.readWhileStale().finally(() => (this.reading = undefined));
    return this.reading;
  }

  private async readWhileStale(): Promise<void> {
    while (this.isStale) {
      this.isStale = false;
      await this.read();
    }
  }

  private async read(): Promise<void> {
    try {
      const [documents, apiKeys] = await Promise.all([
        this.documentTable.currentOfAll(this.database),
        this.apiKeyTable.active(this.database),
      ]);
      const made = JSON.stringify([documents.map((one) => [addressOf(one), one.version]), apiKeys.map((key) => [key.id, key.expiresAt])]);
      if (made === this.snapshot?.made) return;
      this.snapshot = this.snapshotOf(made, documents, apiKeys);
      log.info({ documents: documents.length, apiKeys: apiKeys.length }, 'configuration read');
    } catch (error) {
      if (error instanceof StorageUnavailable) log.warn({ error: error.message, ready: this.ready() }, 'configuration not read');
      else log.error({ err: error, ready: this.ready() }, 'configuration not read');
    }
  }

  private snapshotOf(made: string, stored: readonly Stored[], apiKeys: readonly CheckableApiKey[]): Snapshot {
    const documents = new Map<string, Stored>();
    for (const one of stored) {
      const opened = this.opened(one);
      if (opened !== undefined) documents.set(addressOf(one), opened);
    }
    const flows = [...documents.values()].filter((one): one is Stored<FlowDocument> => one.kind === 'Flow');
    return {
      made,
      documents,
      flows: Map.groupBy(flows, ({ tenant }) => tenant),
      apiKeys: new Map(apiKeys.map((key) => [key.id, key])),
    };
  }

  /** One document whose secret cannot be opened is left out, and does not keep the others back. */
  private opened(stored: Stored): Stored | undefined {
    const { secretBox } = this.options;
    try {
      const document = mapSecrets(stored.document, (secret) => ('sealed' in secret ? { value: secretBox.open(secret.sealed) } : secret));
      return { ...stored, document };
    } catch (error) {
      log.error({ document: addressOf(stored), version: stored.version, error: String(error) }, 'a document is left out');
      return undefined;
    }
  }
}

function addressOf({ tenant, kind, name }: { tenant: string; kind: string; name: string }): string {
  return `${tenant}/${kind}/${name}`;
}
