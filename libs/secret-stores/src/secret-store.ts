import { DomainError } from '#libs/contracts';

/** A place in which an organisation keeps its secrets. Each tenant has a part of its own, and nothing outside of it can be named. */
export interface SecretStore {
  /** The words for it in messages, such as `Vault at https://vault.internal:8200`. */
  readonly title: string;
  /**
   * The secrets of one entry, by key.
   * @param tenant the part of the store that is looked in
   * @param path names below it, divided by slashes, none of which is `.` or `..`
   * @throws SecretEntryMissing, SecretStoreUnavailable
   */
  read(tenant: string, path: string): Promise<ReadonlyMap<string, string>>;
  close(): Promise<void>;
}

/** The store has no such entry, or does not give it to Millrace. The message completes a sentence that begins with the entry. */
export class SecretEntryMissing extends Error {
  override readonly name = 'SecretEntryMissing';
}

/** The store does not answer, or cannot at the moment. */
export class SecretStoreUnavailable extends DomainError {
  readonly code = 'secretStore.unavailable';
  override readonly retryAfterMs = 10_000;

  constructor(title: string, problem: string, cause?: unknown) {
    super(`${title} ${problem}`, { cause });
  }
}

/** The longest secret, in UTF-8. */
export const longestSecretBytes = 64 * 1_024;
