import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SecretEntryMissing, SecretStoreUnavailable, longestSecretBytes } from './secret-store.js';
import type { SecretStore } from './secret-store.js';

/**
 * Secrets as files: `FOLDER/TENANT/PATH/KEY`, as Kubernetes mounts a Secret at `FOLDER/TENANT/PATH`. Each read looks at the files anew, so a mount that
 * was renewed counts. One line break at the end of a file does not belong to its secret.
 */
export class FolderStore implements SecretStore {
  readonly title: string;

  constructor(private readonly folder: string) {
    this.title = `The folder ${folder}`;
  }

  async read(tenant: string, path: string): Promise<ReadonlyMap<string, string>> {
    const entry = join(this.folder, tenant, path);
    try {
      const names = (await readdir(entry)).filter((name) => !name.startsWith('.')); // Kubernetes keeps the versions of a mount in `..data`
      const read = await Promise.all(names.map(async (name) => [name, await textOf(join(entry, name))] as const));
      return new Map(read.filter((one): one is readonly [string, string] => one[1] !== undefined));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') throw new SecretEntryMissing(`is no folder in ${join(this.folder, tenant)}`);
      if (code === 'ENOTDIR')
        throw new SecretEntryMissing(`is a file in ${join(this.folder, tenant)}: an entry is a folder with a file for each key`);
      if (code === 'EACCES')
        throw new SecretEntryMissing(`must not be read in ${join(this.folder, tenant)} by the user that Millrace runs as`);
      throw new SecretStoreUnavailable(this.title, `cannot be read (${code ?? 'unknown'})`, error);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Undefined for what is no file, or no secret. */
async function textOf(path: string): Promise<string | undefined> {
  const { size, isFile } = await stat(path).then((found) => ({ size: found.size, isFile: found.isFile() }));
  if (!isFile || size > longestSecretBytes) return undefined;
  return (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
}
