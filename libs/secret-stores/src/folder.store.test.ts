import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FolderStore } from './folder.store.js';
import { secretStoreConformance } from './secret-store.conformance.js';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'millrace-secrets-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

async function write(entry: string, secrets: Record<string, string>): Promise<void> {
  await mkdir(entry, { recursive: true });
  for (const [key, value] of Object.entries(secrets)) await writeFile(join(entry, key), value);
}

describe('a folder', () => {
  secretStoreConformance(async () => {
    const root = folder();
    return {
      store: new FolderStore(root),
      put: (tenant, path, secrets) => write(join(root, tenant, path), secrets),
      remove: (tenant, path) => rm(join(root, tenant, path), { recursive: true }),
    };
  });

  test('is read as Kubernetes mounts a Secret: through links, which it replaces at once', async () => {
    const root = folder();
    const mount = join(root, 'acme', 'stripe');
    await write(join(mount, '..2026_01'), { signing: 'before\n' });
    await symlink('..2026_01', join(mount, '..data'));
    await symlink(join('..data', 'signing'), join(mount, 'signing'));
    const store = new FolderStore(root);
    expect(await store.read('acme', 'stripe')).toEqual(new Map([['signing', 'before']]));
    await write(join(mount, '..2026_02'), { signing: 'after' });
    await symlink('..2026_02', join(mount, '..data_tmp'));
    await rename(join(mount, '..data_tmp'), join(mount, '..data'));
    expect(await store.read('acme', 'stripe')).toEqual(new Map([['signing', 'after']]));
  });

  test('has folders as entries, and says so of a file', async () => {
    const root = folder();
    await write(join(root, 'acme'), { stripe: 'x' });
    await expect(new FolderStore(root).read('acme', 'stripe')).rejects.toThrow(
      `is a file in ${join(root, 'acme')}: an entry is a folder with a file for each key`,
    );
    await expect(new FolderStore(join(dirname(root), 'none')).read('acme', 'stripe')).rejects.toThrow('is no folder in');
  });
});
