import type { CheckableApiKey } from '#libs/auth';
import type { Stored } from './document.table.js';

/** The configuration of one tenant, from another place than Postgres. */
export interface TenantSnapshot {
  /** It is what Postgres had then or later, by the clock of Postgres, in ms since 1970. */
  readonly asOfMs: number;
  readonly documents: readonly Stored[];
  readonly apiKeys: readonly CheckableApiKey[];
}

/** The whole configuration, from another place than Postgres. */
export interface ConfigurationSnapshot {
  /** All of it is what Postgres had then or later. */
  readonly asOfMs: number;
  /** The tenants that are not in it did not exist then. */
  readonly indexAsOfMs: number;
  readonly tenants: ReadonlyMap<string, TenantSnapshot>;
  /** Tenants that exist and are not in it. */
  readonly unpublished: ReadonlySet<string>;
}

/** A place that has the configuration while Postgres is away. */
export interface ConfigurationFallback {
  /** Hands on what there is, and then each change. Nothing happens if it is followed already. */
  follow(onSnapshot: (snapshot: ConfigurationSnapshot) => void): void;
  unfollow(): Promise<void>;
}
