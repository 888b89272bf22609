import { readFile, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { SecretEntryMissing, SecretStoreUnavailable, secretTextOf, longestSecretBytes, tooLong } from './secret-store.js';
import type { SecretEntry, SecretStore, StoredSecretText } from './secret-store.js';

/** The words for what a tenant may not know the path of. */
const ofTenant = 'in the part of the tenant';

/**
 * Secrets as files: `FOLDER/TENANT/PATH/KEY`, as Kubernetes mounts a Secret at `FOLDER/TENANT/PATH`. Each read looks at the files anew, so a mount that
 * was renewed counts. One line break at the end of a file does not belong to its secret. Links lead nowhere outside of the tenant's part.
 */
export class FolderStore implements SecretStore {
  readonly title: string;

  constructor(private readonly folder: string) {
    this.title = `The folder ${folder}`;
  }

  async read(tenant: string, path: string): Promise<SecretEntry> {
    const root = await this.root();
    try {
      const own = await realpath(join(root, tenant));
      if (own !== join(root, tenant)) throw new SecretEntryMissing(`is not given: the part of the tenant is a link`);
      const entry = await realpath(join(own, path));
      if (!isWithin(own, entry)) throw new SecretEntryMissing(`is a link that leads out of the part of the tenant`);
      const names = (await readdir(entry)).filter((name) => !name.startsWith('.')); // Kubernetes keeps the versions of a mount in `..data`
      return new Map(await Promise.all(names.map(async (name) => [name, await textOf(own, join(entry, name))] as const)));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (error instanceof SecretEntryMissing) throw error;
      if (code === 'ENOENT') throw new SecretEntryMissing(`is no folder ${ofTenant}`);
      if (code === 'ENOTDIR') throw new SecretEntryMissing(`is a file ${ofTenant}: an entry is a folder with a file for each key`);
      if (code === 'EACCES') throw new SecretEntryMissing(`must not be read ${ofTenant} by the user that Millrace runs as`);
      throw new SecretStoreUnavailable(this.title, `cannot be read (${code ?? 'unknown'})`, error);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** @throws SecretStoreUnavailable if it is not there, such as before it is mounted */
  private async root(): Promise<string> {
    try {
      return await realpath(this.folder);
    } catch (error) {
      throw new SecretStoreUnavailable(this.title, `cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
    }
  }
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder + sep);
}

async function textOf(own: string, path: string): Promise<StoredSecretText> {
  const real = await realpath(path);
  if (!isWithin(own, real)) return { problem: 'is a link that leads out of the part of the tenant' };
  const found = await stat(real);
  if (!found.isFile()) return { problem: 'is no file' };
  if (found.size > longestSecretBytes + 2) return tooLong;
  return secretTextOf(withoutLineBreak(await readFile(real)));
}

function withoutLineBreak(bytes: Buffer): Buffer {
  const end = bytes.at(-1) === 0x0a ? (bytes.at(-2) === 0x0d ? -2 : -1) : undefined;
  return bytes.subarray(0, end);
}
