import { SecretBox } from '#libs/auth';
import type { CheckableApiKey } from '#libs/auth';
import { DomainError, parseSourceAddress, sourceAddress } from '#libs/contracts';
import type {
  BudgetDocument,
  ConnectionDocument,
  DestinationDocument,
  DocumentKind,
  DocumentLookup,
  FlowDocument,
  ModelProviderDocument,
  ModelRouteDocument,
  PullDocument,
  ScheduleDocument,
  SourceDocument,
  TenantDocument,
} from '#libs/contracts';
import { LruMap } from '#libs/lru';
import { latencyMs, wallTimeMs } from '#libs/time';
import { gauge, logger } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { ApiKeyTable } from './api-key.table.js';
import type { ConfigurationFallback, ConfigurationSnapshot } from './configuration-fallback.js';
import type { Database } from './database.js';
import { DocumentTable } from './document.table.js';
import type { Stored } from './document.table.js';
import type { Subscription } from './listener.js';
import { SharedLookup } from './shared-lookup.js';
import { statement } from './statement.js';
import { StorageUnavailable } from './storage.errors.js';

/** Nothing has been read since the process started, so no document or key is known. */
export class ConfigurationUnavailable extends DomainError {
  readonly code = 'configuration.unavailable';
  override readonly ours = true;
  override readonly retryAfterMs = 2_000;

  constructor() {
    super('The configuration has not been read yet; come back in a moment.');
  }
}

/** Postgres is away for longer than what it said last may be served. */
export class ConfigurationTooOld extends DomainError {
  readonly code = 'configuration.tooOld';
  override readonly ours = true;
  override readonly retryAfterMs = 60_000;

  constructor(ageMs: number, maxAgeMs: number) {
    super(
      `The configuration is ${Math.floor(ageMs / 1_000)} s old, and CONFIGURATION_MAX_AGE_MS allows ${Math.floor(maxAgeMs / 1_000)} s: neither Postgres nor the log has a newer one.`,
    );
  }
}

export interface ConfigurationOptions {
  secretBox: SecretBox;
  /** Followed while Postgres cannot be read. Default: none, and the last read goes on serving. */
  fallback?: ConfigurationFallback | undefined;
  /** A configuration that is older is not served. Default: there is no limit. */
  maxAgeMs?: number | undefined;
  /** Checks, before the first read, that this release can read the database. @throws DomainError; the read is tried again later */
  check?: (() => Promise<void>) | undefined;
  /** How often everything is read for changes whose notice was lost, in ms; default 30 000. */
  refreshMs?: number;
}

/** The configuration of one tenant, as it was last read. */
export interface TenantConfiguration {
  /** It is what Postgres had then or later, by the clock of Postgres, in ms since 1970. */
  readonly asOfMs: number;
  /** By kind and name. */
  readonly documents: ReadonlyMap<string, Stored>;
  /** By name. */
  readonly flows: readonly Stored<FlowDocument>[];
  readonly apiKeys: readonly CheckableApiKey[];
}

/** Notices name the tenant whose documents or keys changed (`configuration.functions.sql`). */
const channel = 'millrace_configuration';
const maxOldFlowVersions = 500;
const clock = statement('configuration.clock', 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::int8 AS "nowMs"');
const log = logger('configuration');
const started = new Set<Configuration>();

gauge(
  'millrace_configuration_age_seconds',
  'Time since the documents and API keys that the process serves were what Postgres had. It grows beyond two minutes while Postgres is away, also where the log’s copy stands in for it. 0 before the first read.',
  {},
  (age) => {
    const ages = [...started].map((each) => each.ageMs).filter((ageMs) => ageMs !== undefined);
    if (ages.length > 0) age.set(Math.max(...ages) / 1_000);
  },
);

/**
 * Every tenant's current documents, their secrets sealed, and active API keys, in memory. All of it is read at the start, after a connection
 * broke and every `refreshMs`; a notice from Postgres makes it read the tenant that changed. While Postgres is away the last read goes on
 * serving, and the fallback, if there is one, replaces what it has newer. The next read from Postgres replaces everything.
 */
export class Configuration {
  private readonly documentTable: DocumentTable;
  private readonly apiKeyTable = new ApiKeyTable();
  private readonly apiKeyLookup = new SharedLookup((ids) => this.readApiKeys(ids));
  private readonly sourceLookup = new SharedLookup((addresses) => this.readExisting('Source', addresses));
  private readonly flowLookup = new SharedLookup((addresses) => this.readExisting('Flow', addresses));
  private readonly versionLookup = new SharedLookup((tenants) => this.documentTable.versionCounts(this.database, tenants));
  private readonly oldFlows = new LruMap<string, Stored<FlowDocument>>(maxOldFlowVersions);
  private tenants: Map<string, TenantConfiguration> | undefined;
  /** How many versions of documents Postgres had of each tenant, at most those that were read. */
  private versionsRead = new Map<string, number>();
  /** Everything is what Postgres had at this time or later, by its clock. */
  private asOfMs = 0;
  /** The same by the monotonic clock of this process. */
  private readAt: number | undefined;
  private isFromFallback = false;
  /** Tenants of which the fallback knows nothing but that they exist. */
  private unpublished: ReadonlySet<string> = new Set();
  private readonly listeners = new Set<() => void>();
  private isChecked = false;
  private apiKeys: ReadonlyMap<string, CheckableApiKey> = new Map();
  /** The tenants to read next. */
  private stale: 'all' | Set<string> = new Set();
  private subscription: Subscription | undefined;
  private readonly refreshes: Periodically;
  private reading: Promise<void> | undefined;

  constructor(
    private readonly database: Database,
    private readonly options: ConfigurationOptions,
  ) {
    this.documentTable = new DocumentTable(options.secretBox);
    this.refreshes = new Periodically('reading the configuration', options.refreshMs ?? 30_000, () => this.refresh());
  }

  /** Reads once. Where Postgres is away it resolves all the same, goes on trying, and `ready` says when it has succeeded. */
  async start(): Promise<void> {
    started.add(this);
    this.subscription = await this.database.listen(
      channel,
      (tenant) => void this.refresh(tenant === '' ? undefined : tenant),
      () => void this.refresh(),
    );
    await this.refresh();
    this.refreshes.start();
  }

  async stop(): Promise<void> {
    started.delete(this);
    await this.refreshes.stop();
    await this.subscription?.close();
    await this.reading;
    await this.options.fallback?.unfollow();
  }

  /** Time since everything was what Postgres had; undefined before the first read. */
  get ageMs(): number | undefined {
    return this.readAt === undefined ? undefined : performance.now() - this.readAt;
  }

  ready(): boolean {
    return this.tenants !== undefined;
  }

  /** @throws Error with a sentence while something else than Postgres has been read last, or what was read is too old */
  requireFresh(): void {
    if (this.ready()) this.current();
    if (!this.isFromFallback) return;
    throw new Error(`read from the log’s copy, which is what Postgres had at ${new Date(this.asOfMs).toISOString()}: Postgres is away`);
  }

  /** Calls the listener after each read from Postgres. @returns a function that ends this */
  onRead(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** All tenants as they are known, with the time of the last complete read. @throws ConfigurationUnavailable before the first one */
  lastRead(): { asOfMs: number; tenants: ReadonlyMap<string, TenantConfiguration> } {
    return { asOfMs: this.asOfMs, tenants: this.current() };
  }

  /** Reads everything that was committed before the call. @returns false if Postgres could not be read */
  async readAgain(): Promise<boolean> {
    const beganAt = performance.now();
    await this.refresh();
    return !this.isFromFallback && (this.readAt ?? -Infinity) >= beganAt;
  }

  /** @throws ConfigurationUnavailable, as all that follow, before the first read */
  source(tenant: string, name: string): Stored<SourceDocument> | undefined {
    return this.find(tenant, 'Source', name) as Stored<SourceDocument> | undefined;
  }

  /**
   * Finds also a source that is not in memory, because the notice of it is late or was lost. Callers that nobody has authenticated may ask: a name that
   * does not exist costs a share of one statement, of which one runs at a time, and nothing is kept of it.
   * @throws StorageUnavailable if the source is not in memory and Postgres does not answer
   */
  async newSource(tenant: string, name: string): Promise<Stored<SourceDocument> | undefined> {
    const known = this.source(tenant, name);
    if (known !== undefined || this.isFromFallback) return known;
    if (await this.sourceLookup.find(sourceAddress(tenant, name))) await this.refresh(tenant);
    return this.source(tenant, name);
  }

  /** Reads what one tenant has committed before the call. Does nothing while Postgres is away. */
  async readTenantAgain(tenant: string): Promise<void> {
    if (!this.isFromFallback) await this.refresh(tenant);
  }

  /**
   * Resolves when all documents that were applied before the call are in memory, also where the notice of them is late or was lost. Costs one small
   * statement, of which one runs at a time, and reads the tenant only if something has changed.
   * @throws StorageUnavailable
   */
  async catchUp(tenant: string): Promise<void> {
    const saved = (await this.versionLookup.find(tenant)) ?? 0;
    if (saved === (this.versionsRead.get(tenant) ?? 0)) return;
    await this.refresh(tenant);
    if ((this.versionsRead.get(tenant) ?? 0) < saved) throw new StorageUnavailable(`the documents of ${tenant} could not be read`);
  }

  /** The current flow, also if it was applied a moment ago: see {@link catchUp}. @throws StorageUnavailable */
  async storedFlow(tenant: string, name: string): Promise<Stored<FlowDocument> | undefined> {
    await this.catchUp(tenant);
    return this.flow(tenant, name);
  }

  destination(tenant: string, name: string): Stored<DestinationDocument> | undefined {
    return this.find(tenant, 'Destination', name) as Stored<DestinationDocument> | undefined;
  }

  connection(tenant: string, name: string): Stored<ConnectionDocument> | undefined {
    return this.find(tenant, 'Connection', name) as Stored<ConnectionDocument> | undefined;
  }

  /** Finds current documents of the tenant. */
  documentsOf(tenant: string): DocumentLookup {
    return (kind, name) => this.find(tenant, kind, name)?.document;
  }

  tenant(name: string): Stored<TenantDocument> | undefined {
    return this.find(name, 'Tenant', name) as Stored<TenantDocument> | undefined;
  }

  /** All current documents of the tenant; none before the first read. */
  all(tenant: string): Stored[] {
    return [...(this.tenants?.get(tenant)?.documents.values() ?? [])];
  }

  /** The tenants that have documents or keys; none before the first read. */
  tenantNames(): string[] {
    return [...(this.tenants?.keys() ?? [])];
  }

  /** The schedules of all tenants. */
  schedules(): Stored<ScheduleDocument>[] {
    return this.ofKind('Schedule') as Stored<ScheduleDocument>[];
  }

  /** The pulls of all tenants. */
  pulls(): Stored<PullDocument>[] {
    return this.ofKind('Pull') as Stored<PullDocument>[];
  }

  /** The budgets of all tenants. */
  budgets(): Stored<BudgetDocument>[] {
    return this.ofKind('Budget') as Stored<BudgetDocument>[];
  }

  pull(tenant: string, name: string): Stored<PullDocument> | undefined {
    return this.find(tenant, 'Pull', name) as Stored<PullDocument> | undefined;
  }

  /** The model providers of all tenants. */
  modelProviders(): Stored<ModelProviderDocument>[] {
    return this.ofKind('ModelProvider') as Stored<ModelProviderDocument>[];
  }

  modelProvider(tenant: string, name: string): Stored<ModelProviderDocument> | undefined {
    return this.find(tenant, 'ModelProvider', name) as Stored<ModelProviderDocument> | undefined;
  }

  modelRoute(tenant: string, name: string): Stored<ModelRouteDocument> | undefined {
    return this.find(tenant, 'ModelRoute', name) as Stored<ModelRouteDocument> | undefined;
  }

  /** True while something else than Postgres has been read last. Then there are only the documents that doors need. */
  get isPartial(): boolean {
    return this.isFromFallback;
  }

  flow(tenant: string, name: string): Stored<FlowDocument> | undefined {
    return this.find(tenant, 'Flow', name) as Stored<FlowDocument> | undefined;
  }

  /** Finds also a flow that is not in memory, at the costs of {@link newSource}. @throws StorageUnavailable if Postgres does not answer */
  async newFlow(tenant: string, name: string): Promise<Stored<FlowDocument> | undefined> {
    const known = this.flow(tenant, name);
    if (known !== undefined || this.isFromFallback) return known;
    if (await this.flowLookup.find(sourceAddress(tenant, name))) await this.refresh(tenant);
    return this.flow(tenant, name);
  }

  /** By name. */
  flows(tenant: string): readonly Stored<FlowDocument>[] {
    return this.current().get(tenant)?.flows ?? [];
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
    this.oldFlows.set(key, stored as Stored<FlowDocument>);
    return stored as Stored<FlowDocument>;
  }

  /**
   * Undefined for a key that is unknown, revoked or expired. A key that is not in memory is looked up in Postgres, so a new one works at once in
   * every process. A revoked one ends when the notice of it was read, or at the next refresh.
   * @throws StorageUnavailable if the key is not in memory and Postgres does not answer
   */
  apiKey(id: string): CheckableApiKey | Promise<CheckableApiKey | undefined> {
    this.current();
    return this.apiKeys.get(id) ?? this.apiKeyLookup.find(id);
  }

  private async readApiKeys(ids: readonly string[]): Promise<Map<string, CheckableApiKey>> {
    const keys = await this.apiKeyTable.activeById(this.database, ids);
    for (const tenant of new Set(keys.map((key) => key.tenant))) void this.refresh(tenant); // its notice is late or was lost
    return new Map(keys.map((key) => [key.id, key]));
  }

  private async readExisting(kind: DocumentKind, addresses: readonly string[]): Promise<Map<string, true>> {
    const wanted = addresses.map((address) => parseSourceAddress(address)!).map(({ tenant, source: name }) => ({ tenant, name }));
    const found = await this.documentTable.existing(this.database, kind, wanted);
    return new Map(found.map(({ tenant, name }) => [sourceAddress(tenant, name), true]));
  }

  private ofKind(kind: DocumentKind): Stored[] {
    const documents = [...this.current().values()].flatMap((tenant) => [...tenant.documents.values()]);
    return documents.filter((one) => one.kind === kind);
  }

  private find(tenant: string, kind: DocumentKind, name: string): Stored | undefined {
    const configuration = this.current().get(tenant);
    if (configuration === undefined && this.unpublished.has(tenant)) throw new ConfigurationUnavailable();
    return configuration?.documents.get(`${kind}/${name}`);
  }

  private current(): ReadonlyMap<string, TenantConfiguration> {
    if (this.tenants === undefined) throw new ConfigurationUnavailable();
    const { maxAgeMs } = this.options;
    if (maxAgeMs !== undefined && this.ageMs! > maxAgeMs) throw new ConfigurationTooOld(this.ageMs!, maxAgeMs);
    return this.tenants;
  }

  /**
   * Reads the tenant, or every tenant if none is given. Resolves when everything that was committed before the call has been read, or could
   * not be. Never rejects.
   */
  private refresh(tenant?: string): Promise<void> {
    if (tenant === undefined) this.stale = 'all';
    else if (this.stale !== 'all') this.stale.add(tenant);
    this.reading ??= this.readWhileStale().finally(() => (this.reading = undefined));
    return this.reading;
  }

  private async readWhileStale(): Promise<void> {
    while (this.stale === 'all' || this.stale.size > 0) {
      // Tenants are read one by one only once all were read: until then nothing may be served.
      const wanted = this.tenants === undefined || this.isFromFallback ? 'all' : this.stale;
      this.stale = new Set();
      try {
        if (!this.isChecked) await this.options.check?.();
        this.isChecked = true;
        await (wanted === 'all' ? this.readAll() : this.readTenants(wanted));
        this.listeners.forEach((listener) => listener());
      } catch (error) {
        this.options.fallback?.follow((snapshot) => this.adopt(snapshot));
        if (error instanceof StorageUnavailable) log.warn({ error: error.message, ready: this.ready() }, 'configuration not read');
        else log.error({ err: error, ready: this.ready() }, 'configuration not read');
      }
    }
  }

  private async readAll(): Promise<void> {
    const beganAt = performance.now();
    const asOfMs = await this.postgresTimeMs();
    const versions = await this.documentTable.versionCounts(this.database, null);
    const [documents, apiKeys] = await Promise.all([
      this.documentTable.currentOfAll(this.database),
      this.apiKeyTable.active(this.database),
    ]);
    const documentsOf = Map.groupBy(documents, ({ tenant }) => tenant);
    const apiKeysOf = Map.groupBy(apiKeys, ({ tenant }) => tenant);
    const isFirst = this.tenants === undefined;
    const names = new Set([...documentsOf.keys(), ...apiKeysOf.keys()]);
    void this.options.fallback?.unfollow();
    this.tenants = new Map(
      [...names].map((name) => {
        const read = { asOfMs, documents: documentsOf.get(name) ?? [], apiKeys: apiKeysOf.get(name) ?? [] };
        return [name, this.tenantConfiguration(name, read)];
      }),
    );
    this.versionsRead = versions;
    this.indexApiKeys();
    this.unpublished = new Set();
    this.asOfMs = asOfMs;
    this.readAt = beganAt;
    const isBack = this.isFromFallback;
    this.isFromFallback = false;
    if (isFirst || isBack) log.info({ documents: documents.length, apiKeys: apiKeys.length }, 'configuration read');
  }

  private async readTenants(names: ReadonlySet<string>): Promise<void> {
    for (const name of names) {
      const asOfMs = await this.postgresTimeMs();
      const versions = await this.documentTable.versionCounts(this.database, [name]);
      const [documents, apiKeys] = await Promise.all([
        this.documentTable.current(this.database, name),
        this.apiKeyTable.active(this.database, name),
      ]);
      this.tenants?.set(name, this.tenantConfiguration(name, { asOfMs, documents, apiKeys }));
      this.versionsRead.set(name, versions.get(name) ?? 0);
      log.info({ tenant: name, documents: documents.length, apiKeys: apiKeys.length }, 'configuration of a tenant read');
    }
    this.indexApiKeys();
  }

  private async postgresTimeMs(): Promise<number> {
    const [row] = await this.database.query<{ nowMs: number }>(clock);
    return row!.nowMs;
  }

  /** Takes over what is newer than what is known, tenant by tenant. */
  private adopt(snapshot: ConfigurationSnapshot): void {
    const tenants = new Map(this.tenants);
    let changes = 0;
    for (const [name, read] of snapshot.tenants) {
      if (read.asOfMs <= (tenants.get(name)?.asOfMs ?? this.asOfMs)) continue;
      tenants.set(name, this.tenantConfiguration(name, read));
      changes += 1;
    }
    for (const [name, { asOfMs }] of tenants) {
      const isKnown = snapshot.tenants.has(name) || snapshot.unpublished.has(name);
      if (!isKnown && asOfMs < snapshot.indexAsOfMs) changes += Number(tenants.delete(name));
    }
    if (changes === 0 && snapshot.asOfMs <= this.asOfMs) return;
    const isFirst = this.tenants === undefined;
    this.tenants = tenants;
    this.unpublished = snapshot.unpublished;
    if (changes > 0) this.indexApiKeys();
    if (snapshot.asOfMs > this.asOfMs) {
      this.asOfMs = snapshot.asOfMs;
      this.readAt = performance.now() - latencyMs(snapshot.asOfMs, wallTimeMs());
    }
    const isNews = !this.isFromFallback || changes > 0;
    this.isFromFallback = true;
    if (isNews) {
      log.warn(
        { tenants: tenants.size, changes, first: isFirst, asOf: new Date(this.asOfMs).toISOString() },
        'configuration read from the log’s copy, because Postgres is away',
      );
    }
  }

  /** A document whose version has not changed stays the same object, so that what others derived from it stays valid. */
  private tenantConfiguration(
    tenant: string,
    { asOfMs, documents: read, apiKeys }: { asOfMs: number; documents: readonly Stored[]; apiKeys: readonly CheckableApiKey[] },
  ): TenantConfiguration {
    const before = this.tenants?.get(tenant)?.documents;
    const documents = read.map((one) => {
      const known = before?.get(`${one.kind}/${one.name}`);
      return known?.version === one.version ? known : one;
    });
    return {
      asOfMs,
      documents: new Map(documents.map((one) => [`${one.kind}/${one.name}`, one])),
      flows: documents.filter((one): one is Stored<FlowDocument> => one.kind === 'Flow'),
      apiKeys,
    };
  }

  private indexApiKeys(): void {
    this.apiKeys = new Map([...(this.tenants?.values() ?? [])].flatMap(({ apiKeys }) => apiKeys.map((key) => [key.id, key])));
  }
}
