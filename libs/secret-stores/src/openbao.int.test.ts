import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freePort, takesConnections } from '#libs/ports';
import { waitFor } from '#libs/testing';
import { secretStoreConformance } from './secret-store.conformance.js';
import { VaultStore } from './vault.store.js';
import type { VaultLogin } from './vault.store.js';

const program = [resolve('.cache/openbao'), ...(process.env['PATH'] ?? '').split(delimiter)]
  .map((folder) => join(folder, 'bao'))
  .find((path) => existsSync(path));
if (program === undefined)
  process.stdout.write(
    'OpenBao is not at hand, so Vault’s protocol is tested with the stand-in alone; tools/openbao/openbao.sh fetches it.\n',
  );

const rootToken = 'root-of-the-test';
let address: string;
let folder: string;
let stop: () => Promise<unknown>;

beforeAll(async () => {
  if (program === undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'millrace-openbao-'));
  const port = await freePort();
  address = `http://127.0.0.1:${port}`;
  const server = spawn(
    program,
    ['server', '-dev', '-dev-no-store-token', `-dev-root-token-id=${rootToken}`, `-dev-listen-address=127.0.0.1:${port}`],
    {
      stdio: 'ignore',
      env: { HOME: folder },
    },
  );
  stop = async () => {
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  };
  await waitFor(async () => (await takesConnections(port)) && (await ask('GET', 'sys/mounts/secret')).ok, {
    what: 'OpenBao to be there',
    deadlineMs: 30_000,
  });
  await ask('POST', 'sys/auth/approle', { type: 'approle' });
  await allow('secret/data/millrace/*');
  await ask('POST', 'auth/approle/role/millrace', { token_policies: 'millrace', token_ttl: '1m' });
});
afterAll(async () => {
  await stop?.();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

/** A request with the token of the root. */
function ask(method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${address}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': rootToken },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const allow = (path: string): Promise<Response> =>
  ask('POST', 'sys/policies/acl/millrace', { policy: `path "${path}" { capabilities = ["read"] }` });

async function byAppRole(): Promise<VaultLogin> {
  const read = async (path: string, method = 'GET') => ((await (await ask(method, path)).json()) as { data: Record<string, string> }).data;
  const { role_id: roleId } = await read('auth/approle/role/millrace/role-id');
  const { secret_id: secretId } = await read('auth/approle/role/millrace/secret-id', 'POST');
  const secretIdFile = join(folder, 'secret-id');
  writeFileSync(secretIdFile, `${secretId!}\n`);
  return { kind: 'approle', mount: 'approle', roleId: roleId!, secretIdFile };
}

/** A store with a part of the mount of its own. */
async function openStore(login?: VaultLogin) {
  const prefix = `millrace/${Math.random().toString(36).slice(2)}`;
  const store = new VaultStore({ address, mount: 'secret', prefix, login: login ?? (await byAppRole()) });
  onTestFinished(() => store.close());
  const put = async (tenant: string, path: string, data: Record<string, string>): Promise<void> => {
    expect((await ask('POST', `secret/data/${prefix}/${tenant}/${path}`, { data })).status).toBe(200);
  };
  const remove = async (tenant: string, path: string): Promise<void> => {
    expect((await ask('DELETE', `secret/data/${prefix}/${tenant}/${path}`)).status).toBe(204);
  };
  return { store, put, remove };
}

describe.skipIf(program === undefined)('OpenBao', () => {
  secretStoreConformance(() => openStore());

  test('is read with a token in a file, too', async () => {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, `${rootToken}\n`);
    const { store, put } = await openStore({ kind: 'token', tokenFile });
    await put('acme', 'stripe', { value: 'x' });
    expect((await store.read('acme', 'stripe')).get('value')).toEqual({ text: 'x' });
  });

  test('is logged in to anew when it revoked the token', async () => {
    const { store, put } = await openStore();
    await put('acme', 'stripe', { value: 'x' });
    await store.read('acme', 'stripe');
    expect((await ask('POST', 'sys/leases/revoke-prefix/auth/approle/login')).ok).toBe(true);
    expect((await store.read('acme', 'stripe')).get('value')).toEqual({ text: 'x' });
  });

  test('says of what its policy does not allow, which one it needs', async () => {
    const { store, put } = await openStore();
    await put('acme', 'stripe', { value: 'x' });
    await allow('secret/data/elsewhere/*');
    onTestFinished(async () => void (await allow('secret/data/millrace/*')));
    await expect(store.read('acme', 'stripe')).rejects.toThrow(
      /the policy of Millrace must allow read on secret\/data\/millrace\/\w+\/acme\/\*/,
    );
  });
});
