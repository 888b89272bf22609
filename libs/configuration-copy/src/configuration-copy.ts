import { SecretBox } from '#libs/auth';
import { DomainError, messageOf } from '#libs/contracts';
import type { LogOptions } from '#libs/messaging';
import type { ConfigurationFallback, ConfigurationSnapshot } from '#libs/persistence';
import { latencyMs, sleep, wallTimeMs } from '#libs/time';
import { logger } from '#libs/tracing';
import { ConfigurationLog } from './configuration-log.js';

/** Postgres is away, and the log's copy of the configuration cannot stand in for it. */
export class ConfigurationCopyUnusable extends DomainError {
  readonly code = 'configuration.unavailable';
  override readonly ours = true;

  constructor(reason: string) {
    super(`The log’s copy of the configuration cannot be used: ${reason}`);
  }
}

const betweenTriesMs = 500;
/** Interval between two log lines about the same trouble. */
const logEveryMs = 10_000;
const log = logger('configuration');

/** Reads the configuration copy while Postgres is away. Between times it has no connection. */
export class ConfigurationCopy implements ConfigurationFallback {
  private readonly configurationLog: ConfigurationLog;
  private following: AbortController | undefined;
  /** The last run. Runs come one after the other, because they share the reader. */
  private running: Promise<void> = Promise.resolve();

  constructor(
    options: LogOptions,
    secretBox: SecretBox,
    private readonly maxAgeMs: number,
  ) {
    this.configurationLog = new ConfigurationLog(options, secretBox);
  }

  /**
   * Reads the copy at a start, and says whether it is good enough to start with.
   * @throws ConfigurationCopyUnusable with the reason; LogUnavailable
   */
  async require(): Promise<void> {
    await this.configurationLog.readToEnd();
    const snapshot = this.configurationLog.snapshot();
    if (typeof snapshot === 'string') throw new ConfigurationCopyUnusable(snapshot);
    const ageMs = latencyMs(snapshot.asOfMs, wallTimeMs());
    if (ageMs <= this.maxAgeMs) return;
    const seconds = Math.floor(ageMs / 1_000);
    throw new ConfigurationCopyUnusable(
      `it is what Postgres had ${seconds} s ago, at ${new Date(snapshot.asOfMs).toISOString()}, and CONFIGURATION_MAX_AGE_MS allows ${Math.floor(this.maxAgeMs / 1_000)} s`,
    );
  }

  follow(onSnapshot: (snapshot: ConfigurationSnapshot) => void): void {
    if (this.following !== undefined) return;
    this.following = new AbortController();
    const { signal } = this.following;
    this.handOn(onSnapshot); // what a start has read
    this.running = this.running.then(() => this.run(onSnapshot, signal));
  }

  async unfollow(): Promise<void> {
    if (this.following === undefined) return;
    this.following.abort();
    this.following = undefined;
    await this.configurationLog.close();
    await this.running;
    if (this.following === undefined) await this.configurationLog.close(); // the last request may have opened a connection
  }

  private async run(onSnapshot: (snapshot: ConfigurationSnapshot) => void, stopped: AbortSignal): Promise<void> {
    let isRead = false;
    let loggedAt = -Infinity;
    while (!stopped.aborted) {
      try {
        await (isRead ? this.configurationLog.readNext() : this.configurationLog.readToEnd());
        isRead = true;
        if (!stopped.aborted) this.handOn(onSnapshot);
      } catch (error) {
        if (stopped.aborted) return;
        if (performance.now() - loggedAt >= logEveryMs) log.warn({ reason: messageOf(error) }, 'the configuration copy cannot be read');
        loggedAt = performance.now();
        await sleep(betweenTriesMs, stopped).catch(() => undefined);
      }
    }
  }

  private handOn(onSnapshot: (snapshot: ConfigurationSnapshot) => void): void {
    const snapshot = this.configurationLog.snapshot();
    if (typeof snapshot !== 'string') onSnapshot(snapshot);
  }
}
