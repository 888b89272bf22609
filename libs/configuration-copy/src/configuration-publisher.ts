import { SecretBox } from '#libs/auth';
import { ConfigurationPublished, DomainError, everyTenant, topics } from '#libs/contracts';
import { RecordProducer, RecordTooLarge, maxEventRecordBytes } from '#libs/messaging';
import type { LogOptions } from '#libs/messaging';
import { Configuration, Database, statement } from '#libs/persistence';
import type { TenantConfiguration } from '#libs/persistence';
import { latencyMs, wallTimeMs } from '#libs/time';
import { gauge, logger } from '#libs/tracing';
import { ConfigurationLog, sealedPart } from './configuration-log.js';
import type { CopyPart, IndexPart, Logged, PartKind, TenantPart } from './configuration-log.js';
import { copyOf, digestOf } from './copied-tenant.js';

/** One process publishes at a time. The others see in the log what it wrote. */
const tryLock = statement(
  'configuration.tryPublish',
  `SELECT pg_try_advisory_xact_lock(hashtextextended('millrace.configuration', 0)) AS "isOurs"`,
);
/** Configuration is read every 30 s, so the age of the copy is written about once a minute, by whichever process comes first. */
const ageEveryMs = 45_000;
/** Retention takes records of the topic after seven days, whether or not they are the last of their key. */
const rewriteAfterMs = 86_400_000;
/** Tenants appended at once. */
const atOnce = 20;

const log = logger('configuration');
const started = new Set<ConfigurationPublisher>();

gauge(
  'millrace_configuration_copy_age_seconds',
  'Time since the log’s copy of the configuration, which doors start from while Postgres is away, was what Postgres had. Of processes that publish it.',
  {},
  (age) => {
    const ages = [...started].map(({ copyAgeMs }) => copyAgeMs).filter((ageMs) => ageMs !== undefined);
    if (ages.length > 0) age.set(Math.max(...ages) / 1_000);
  },
);

interface Change {
  readonly tenant: string;
  /** Undefined for a tenant that is gone. */
  readonly configuration: TenantConfiguration | undefined;
}

/**
 * Keeps the configuration copy on the log equal to what Postgres has. Each time the configuration was read, it compares both and appends what
 * differs, whatever the cause: a change, another release, another key of secrets, a log that was lost.
 */
export class ConfigurationPublisher {
  private readonly configurationLog: ConfigurationLog;
  private readonly digests = new WeakMap<TenantConfiguration, string>();
  /** Tenants that do not fit into a record, and the digest of what did not. */
  private readonly tooLarge = new Map<string, string>();
  private forget: (() => void) | undefined;
  private publishing: Promise<void> | undefined;
  private isAskedAgain = false;

  constructor(
    private readonly configuration: Configuration,
    private readonly database: Database,
    private readonly producer: RecordProducer,
    private readonly secretBox: SecretBox,
    options: LogOptions,
  ) {
    this.configurationLog = new ConfigurationLog(options, secretBox);
  }

  /** Undefined before the log was read, or where it has no copy. */
  get copyAgeMs(): number | undefined {
    const { age } = this.configurationLog;
    return age === undefined ? undefined : latencyMs(age.part.asOfMs, wallTimeMs());
  }

  start(): void {
    started.add(this);
    this.forget = this.configuration.onRead(() => this.soon());
    if (this.configuration.ready()) this.soon();
  }

  async stop(): Promise<void> {
    started.delete(this);
    this.forget?.();
    this.isAskedAgain = false;
    await this.publishing;
    await this.configurationLog.close();
  }

  private soon(): void {
    this.isAskedAgain = true;
    this.publishing ??= this.publishWhileAsked().finally(() => (this.publishing = undefined));
  }

  private async publishWhileAsked(): Promise<void> {
    while (this.isAskedAgain) {
      this.isAskedAgain = false;
      try {
        await this.publish();
      } catch (error) {
        if (error instanceof DomainError && error.ours) log.warn({ reason: error.message }, 'the configuration was not published');
        else log.error({ err: error }, 'the configuration was not published');
      }
    }
  }

  /** Reads once more under the lock, so that no process appends an older state after a newer one. */
  private async publish(): Promise<void> {
    await this.configurationLog.readToEnd();
    if (this.changes().length === 0 && this.isIndexed(this.indexOf()) && !this.isAgeDue()) return;
    await this.database.transaction(async (session) => {
      const [locked] = await session.query<{ isOurs: boolean }>(tryLock);
      if (!locked!.isOurs) return;
      await this.configurationLog.readToEnd();
      if (this.changes().length > 0 && !(await this.configuration.readAgain())) return;
      await this.append();
    });
  }

  private changes(): Change[] {
    const { tenants } = this.configuration.lastRead();
    const changed = [...tenants].filter(([tenant, configuration]) => this.isToWrite(tenant, configuration));
    const gone = [...this.configurationLog.tenants].filter(([tenant, { snapshot }]) => snapshot !== undefined && !tenants.has(tenant));
    return [
      ...changed.map(([tenant, configuration]) => ({ tenant, configuration })),
      ...gone.map(([tenant]) => ({ tenant, configuration: undefined })),
    ];
  }

  private isToWrite(tenant: string, configuration: TenantConfiguration): boolean {
    if (this.tooLarge.get(tenant) === this.digestOf(configuration)) return false;
    const logged = this.configurationLog.tenants.get(tenant);
    return logged?.snapshot === undefined || isStale(logged) || logged.part.digest !== this.digestOf(configuration);
  }

  private digestOf(configuration: TenantConfiguration): string {
    const known = this.digests.get(configuration) ?? digestOf(configuration);
    this.digests.set(configuration, known);
    return known;
  }

  private async append(): Promise<void> {
    const { asOfMs } = this.configuration.lastRead();
    const changes = this.changes();
    const times = new Map<string, number>();
    for (let at = 0; at < changes.length; at += atOnce) {
      await Promise.all(changes.slice(at, at + atOnce).map(async (change) => times.set(change.tenant, await this.appendTenant(change))));
    }
    const { index: before, age } = this.configurationLog;
    const index: IndexPart = { asOfMs: after(before, asOfMs), tenants: this.indexOf(times) };
    if (!this.isIndexed(index.tenants)) await this.write('index', everyTenant, index);
    await this.write('age', everyTenant, { asOfMs: Math.max(asOfMs, age?.part.asOfMs ?? 0) });
    await this.configurationLog.readToEnd();
    if (changes.length > 0) log.info({ tenants: changes.length }, 'configuration published');
  }

  /** @param times of the parts that the log has not returned yet */
  private indexOf(times: ReadonlyMap<string, number> = new Map()): IndexPart['tenants'] {
    const names = [...this.configuration.lastRead().tenants.keys()].toSorted();
    const timeOf = (tenant: string): number => times.get(tenant) ?? this.configurationLog.tenants.get(tenant)?.part.asOfMs ?? 0;
    return Object.fromEntries(names.map((tenant) => [tenant, this.tooLarge.has(tenant) ? null : timeOf(tenant)]));
  }

  private isIndexed(tenants: IndexPart['tenants']): boolean {
    const { index } = this.configurationLog;
    return index !== undefined && !isStale(index) && JSON.stringify(index.part.tenants) === JSON.stringify(tenants);
  }

  private isAgeDue(): boolean {
    const { age } = this.configurationLog;
    return age === undefined || isStale(age) || this.configuration.lastRead().asOfMs - age.part.asOfMs >= ageEveryMs;
  }

  /** @returns the time of the part */
  private async appendTenant({ tenant, configuration }: Change): Promise<number> {
    const before = this.configurationLog.tenants.get(tenant);
    const asOfMs = after(before, this.configuration.lastRead().asOfMs);
    const copied =
      configuration === undefined ? { digest: '', copy: null } : { digest: this.digestOf(configuration), copy: copyOf(configuration) };
    try {
      const part: TenantPart = { asOfMs, ...copied };
      await this.write('tenant', tenant, part);
      this.tooLarge.delete(tenant);
    } catch (error) {
      if (!(error instanceof RecordTooLarge)) throw error;
      this.tooLarge.set(tenant, copied.digest);
      log.error(
        { err: error, tenant },
        'the configuration of a tenant does not fit into a record; doors that start without Postgres do not serve it',
      );
    }
    return asOfMs;
  }

  /** @throws LogUnavailable, RecordTooLarge */
  private async write(kind: PartKind, tenant: string, part: CopyPart): Promise<void> {
    const record = sealedPart(this.secretBox, kind, tenant, part);
    await this.producer.append(topics.configuration, ConfigurationPublished, record, { maxBytes: maxEventRecordBytes });
  }
}

function isStale({ appendedAtMs, isCurrent }: Logged): boolean {
  return !isCurrent || latencyMs(appendedAtMs, wallTimeMs()) > rewriteAfterMs;
}

/** A time that readers take for later than that of the part before, also when the clock of Postgres was set back. */
function after(before: Logged | undefined, asOfMs: number): number {
  return before === undefined ? asOfMs : Math.max(asOfMs, before.part.asOfMs + 1);
}
