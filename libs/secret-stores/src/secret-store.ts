import { isUtf8 } from 'node:buffer';
import { DomainError } from '#libs/contracts';

/** A place in which an organisation keeps its secrets. Each tenant has a part of its own, and nothing outside of it can be named. */
export interface SecretStore {
  /** The words for it in messages, such as `Vault at https://vault.internal:8200`. */
  readonly title: string;
  /**
   * The secrets of one entry.
   * @param tenant the part of the store that is looked in
   * @param path names below it, divided by slashes, none of which is `.` or `..`
   * @throws SecretEntryMissing, SecretStoreUnavailable
   */
  read(tenant: string, path: string): Promise<SecretEntry>;
  close(): Promise<void>;
}

/** By key, the secret or the reason why it is none, which completes a sentence that begins with the key. */
export type SecretEntry = ReadonlyMap<string, StoredSecretText>;
export type StoredSecretText = { readonly text: string } | { readonly problem: string };

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

export const tooLong = { problem: `has more than ${longestSecretBytes / 1_024} KiB` } as const;

/** The secret that the bytes are, or why they are none: a key of any bytes would be changed on its way into a document, which is text. */
export function secretTextOf(bytes: Buffer): StoredSecretText {
  if (bytes.length === 0) return { problem: 'is empty' };
  if (bytes.length > longestSecretBytes) return tooLong;
  return isUtf8(bytes) ? { text: bytes.toString('utf8') } : { problem: 'is no text in UTF-8; keep keys of any bytes in base64 or hex' };
}
