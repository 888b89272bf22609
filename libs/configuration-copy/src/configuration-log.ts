import type { SecretBox, SecretPlace } from '#libs/auth';
import { ConfigurationPublished, everyTenant, messageOf, noCustomer, ownerOfKey, topics } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import { TopicReader } from '#libs/messaging';
import type { LogOptions, LoggedRecord } from '#libs/messaging';
import type { ConfigurationSnapshot, TenantSnapshot } from '#libs/persistence';
import { snapshotOf } from './copied-tenant.js';
import type { CopiedTenant } from './copied-tenant.js';

/** Times are those of Postgres' clock, in ms since 1970, so that every process compares by one clock. */
export interface CopyPart {
  /** Everything in the part is as Postgres had it at this time or later. */
  readonly asOfMs: number;
}

export interface TenantPart extends CopyPart {
  /** See `digestOf`. */
  readonly digest: string;
  /** Null: the tenant has neither sources nor keys any more. */
  readonly copy: CopiedTenant | null;
}

/** The tenants of a complete copy. */
export interface IndexPart extends CopyPart {
  /** By tenant: the time of its part. Null where a tenant is larger than a record may be, so that the log does not have it. */
  readonly tenants: Readonly<Record<string, number | null>>;
}

const parts = { tenant: noCustomer, index: noCustomer, age: 'age' } as const;
export type PartKind = keyof typeof parts;

/** A part as the log has it. */
export interface Logged<P extends CopyPart = CopyPart> {
  readonly part: P;
  /** When it was appended, by the clock of the process that did. */
  readonly appendedAtMs: number;
  /** False if it is sealed with a previous key. */
  readonly isCurrent: boolean;
}

export interface LoggedTenant extends Logged<TenantPart> {
  /** Undefined for a tenant that was removed. */
  readonly snapshot: TenantSnapshot | undefined;
}

/** Seals a part for its place, so that it is worthless anywhere else. */
export function sealedPart(secretBox: SecretBox, kind: PartKind, tenant: string, part: CopyPart): ConfigurationPublished {
  const { sealed } = secretBox.seal(JSON.stringify(part), placeOf(tenant, parts[kind]));
  return { tenant, customer: parts[kind], sealed };
}

function placeOf(tenant: string, part: string): SecretPlace {
  return { tenant, kind: 'Configuration', name: part, field: 'sealed' };
}

/** The configuration copy as it is on the log: the last part of each kind and tenant. */
export class ConfigurationLog {
  private readonly reader: TopicReader;
  private readonly tenantParts = new Map<string, LoggedTenant>();
  private lastIndex: Logged<IndexPart> | undefined;
  /** Written often: the index and the tenants are what Postgres had at its `asOfMs`. */
  private lastAge: Logged | undefined;
  private unreadable: string | undefined;

  constructor(
    options: LogOptions,
    private readonly secretBox: SecretBox,
  ) {
    this.reader = new TopicReader(options, topics.configuration, {
      onRecords: (records) => records.forEach((record) => this.take(record)),
      onRestart: () => this.forget(),
    });
  }

  get tenants(): ReadonlyMap<string, LoggedTenant> {
    return this.tenantParts;
  }

  get index(): Logged<IndexPart> | undefined {
    return this.lastIndex;
  }

  get age(): Logged | undefined {
    return this.lastAge;
  }

  /** @throws LogUnavailable */
  readToEnd(): Promise<void> {
    return this.reader.readToEnd();
  }

  /** Waits at most 1.5 s for further parts. @throws LogUnavailable */
  readNext(): Promise<void> {
    return this.reader.readNext();
  }

  close(): Promise<void> {
    return this.reader.close();
  }

  /** The whole copy; a sentence that says why there is none. */
  snapshot(): ConfigurationSnapshot | string {
    const { lastIndex, lastAge } = this;
    if (lastIndex === undefined || lastAge === undefined) return this.unreadable ?? 'the log has no copy of the configuration';
    const { tenants: indexed, asOfMs: indexAsOfMs } = lastIndex.part;
    const missing = Object.entries(indexed).filter(
      ([tenant, asOfMs]) => asOfMs !== null && (this.tenantParts.get(tenant)?.part.asOfMs ?? -1) < asOfMs,
    );
    if (missing.length > 0) return this.unreadable ?? `the log’s copy of the configuration lacks ${missing.length} tenants`;
    const found = [...this.tenantParts].filter(([tenant, { part }]) => typeof indexed[tenant] === 'number' || part.asOfMs > indexAsOfMs);
    const tenants = new Map(
      found.flatMap(([tenant, { snapshot }]): [string, TenantSnapshot][] => (snapshot === undefined ? [] : [[tenant, snapshot]])),
    );
    const unpublished = new Set(Object.keys(indexed).filter((tenant) => indexed[tenant] === null));
    return { asOfMs: lastAge.part.asOfMs, indexAsOfMs, tenants, unpublished };
  }

  private forget(): void {
    this.tenantParts.clear();
    this.lastIndex = undefined;
    this.lastAge = undefined;
    this.unreadable = undefined;
  }

  private take(record: LoggedRecord): void {
    const { tenant = '', customer = '' } = ownerOfKey(String(record.key)) ?? {};
    try {
      const { sealed } = ConfigurationPublished.check.parse(parseStoredJson(String(record.value)));
      const part = parseStoredJson(this.secretBox.open(sealed, placeOf(tenant, customer))) as unknown as CopyPart;
      this.keep(tenant, customer, { part, appendedAtMs: record.timestampMs, isCurrent: this.secretBox.isCurrent(sealed) });
    } catch (error) {
      this.unreadable = `a part of the log’s copy of the configuration cannot be read: ${messageOf(error)}`;
    }
  }

  /** A part that is older than the one that is known is of a publisher that was cut off meanwhile. */
  private keep(tenant: string, customer: string, logged: Logged): void {
    const before = tenant !== everyTenant ? this.tenantParts.get(tenant) : customer === parts.age ? this.lastAge : this.lastIndex;
    if (before !== undefined && before.part.asOfMs > logged.part.asOfMs) return;
    if (tenant !== everyTenant) this.keepTenant(tenant, logged as Logged<TenantPart>);
    else if (customer === parts.age) this.lastAge = logged;
    else this.lastIndex = logged as Logged<IndexPart>;
  }

  private keepTenant(tenant: string, logged: Logged<TenantPart>): void {
    const { asOfMs, copy } = logged.part;
    const part = { asOfMs, digest: logged.part.digest, copy: null }; // its content is in the snapshot
    this.tenantParts.set(tenant, { ...logged, part, snapshot: copy === null ? undefined : snapshotOf(tenant, asOfMs, copy) });
  }
}
