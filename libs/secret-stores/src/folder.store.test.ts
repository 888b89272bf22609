import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { FolderStore } from './folder.store.js';
import { secretStoreConformance } from './secret-store.conformance.js';
import { SecretStoreUnavailable } from './secret-store.js';

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
    expect(await store.read('acme', 'stripe')).toEqual(new Map([['signing', { text: 'before' }]]));
    await write(join(mount, '..2026_02'), { signing: 'after' });
    await symlink('..2026_02', join(mount, '..data_tmp'));
    await rename(join(mount, '..data_tmp'), join(mount, '..data'));
    expect(await store.read('acme', 'stripe')).toEqual(new Map([['signing', { text: 'after' }]]));
  });

  test('has folders as entries, and says so of a file', async () => {
    const root = folder();
    await write(join(root, 'acme'), { stripe: 'x' });
    const refusal = 'is a file in the part of the tenant: an entry is a folder with a file for each key';
    await expect(new FolderStore(root).read('acme', 'stripe')).rejects.toThrow(refusal);
  });

  test('that is not there, such as before it is mounted, is unavailable', async () => {
    await expect(new FolderStore(join(folder(), 'none')).read('acme', 'stripe')).rejects.toThrow(SecretStoreUnavailable);
  });

  test('is left by no link: not by a tenant, an entry or a key', async () => {
    const root = folder();
    await write(join(root, 'other', 'partners'), { tok: 'of the other one' });
    await write(join(root, 'acme', 'mixed'), { own: 'x' });
    await symlink(join('..', '..', 'other', 'partners', 'tok'), join(root, 'acme', 'mixed', 'theirs'));
    await symlink('/etc/hostname', join(root, 'acme', 'mixed', 'host'));
    await symlink('/etc', join(root, 'acme', 'etc'));
    await symlink(join('..', 'other', 'partners'), join(root, 'acme', 'dir'));
    await symlink('other', join(root, 'third'));
    const store = new FolderStore(root);
    const problem = 'is a link that leads out of the part of the tenant';
    expect(await store.read('acme', 'mixed')).toEqual(
      new Map<string, object>([
        ['host', { problem }],
        ['own', { text: 'x' }],
        ['theirs', { problem }],
      ]),
    );
    for (const path of ['etc', 'dir']) await expect(store.read('acme', path)).rejects.toThrow(problem);
    await expect(store.read('third', 'partners')).rejects.toThrow('the part of the tenant is a link');
  });

  test('says of bytes that are no text, and of what is no file, why they are no secret', async () => {
    const root = folder();
    const entry = join(root, 'acme', 'stripe');
    await mkdir(join(entry, 'folder'), { recursive: true });
    await writeFile(join(entry, 'bytes'), Buffer.from([0xff, 0xfe, 0x30]));
    expect(await new FolderStore(root).read('acme', 'stripe')).toEqual(
      new Map([
        ['bytes', { problem: 'is no text in UTF-8; keep keys of any bytes in base64 or hex' }],
        ['folder', { problem: 'is no file' }],
      ]),
    );
  });
});
