import { mapSecrets, storedSecretsOf } from '#libs/contracts';
import type { Document } from '#libs/contracts';
import type { DocumentProblem } from '#libs/documents';
import { SecretEntryMissing } from '#libs/secret-stores';
import type { SecretEntry, SecretStore } from '#libs/secret-stores';
import { counter } from '#libs/tracing';

const reads = counter(
  'millrace_secret_store_reads_total',
  'Reads of entries of the secret store. `missing`: there is none, or it is not given to Millrace.',
  {
    outcome: ['read', 'missing', 'unavailable'],
  },
);

type Entry = SecretEntry | SecretEntryMissing;

/** The secret store of the installation, if it has one. */
export class StoredSecrets {
  constructor(private readonly store: SecretStore | undefined) {}

  get isThere(): boolean {
    return this.store !== undefined;
  }

  /** Reads for one tenant, each entry once. */
  reading(tenant: string): StoredSecretReading {
    return new StoredSecretReading(this.store, tenant);
  }

  async close(): Promise<void> {
    await this.store?.close();
  }
}

/** The entries of one tenant as they were at their first read. */
export class StoredSecretReading {
  private readonly entries = new Map<string, Promise<Entry>>();

  constructor(
    private readonly store: SecretStore | undefined,
    private readonly tenant: string,
  ) {}

  /**
   * The document with those of its secrets in the clear that the secret store has. They are read there also if the document brings them sealed.
   * @param document one of this tenant
   * @returns a problem for each secret that cannot be had; it stays as it was
   * @throws SecretStoreUnavailable
   */
  async filled<D extends Document>(document: D): Promise<{ document: D; problems: DocumentProblem[] }> {
    const values = new Map<string, string>();
    const problems: DocumentProblem[] = [];
    for (const { secret, path } of storedSecretsOf(document)) {
      const found = await this.find(secret.from);
      if (typeof found === 'string') values.set(path.join('.'), found);
      else problems.push({ path: [...path, 'from', ...found.path], message: found.message });
    }
    const filled = mapSecrets(document, (secret, path) => {
      const value = values.get(path.join('.'));
      return value === undefined ? secret : { value, from: secret.from };
    });
    return { document: filled, problems };
  }

  private async find({ path, key }: { path: string; key: string }): Promise<string | DocumentProblem> {
    if (this.store === undefined)
      return {
        path: [],
        message: 'names the secret store, and this installation has none: set SECRETS_FOLDER or VAULT_ADDR of the query service',
      };
    const entry = await this.entryAt(this.store, path);
    if (entry instanceof SecretEntryMissing) return { path: ['path'], message: `${path} ${entry.message}` };
    const found = entry.get(key);
    if (found !== undefined && 'text' in found) return found.text;
    if (found !== undefined) return { path: ['key'], message: `${key} ${found.problem}, in ${path}` };
    return { path: ['key'], message: `${key} is not in ${path}; the keys of this entry: ${[...entry.keys()].join(', ') || 'none'}` };
  }

  private entryAt(store: SecretStore, path: string): Promise<Entry> {
    const known = this.entries.get(path);
    if (known !== undefined) return known;
    const read = store.read(this.tenant, path).then(
      (entry) => {
        reads.inc({ outcome: 'read' });
        return entry;
      },
      (error: unknown) => {
        reads.inc({ outcome: error instanceof SecretEntryMissing ? 'missing' : 'unavailable' });
        if (error instanceof SecretEntryMissing) return error;
        throw error;
      },
    );
    this.entries.set(path, read);
    return read;
  }
}
