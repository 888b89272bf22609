import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { testCertificates } from '#libs/testing';
import { secretStoreConformance } from './secret-store.conformance.js';
import { SecretEntryMissing, SecretStoreUnavailable } from './secret-store.js';
import { startVaultStandIn } from './vault.stand-in.js';
import type { VaultStandIn, VaultStandInOptions } from './vault.stand-in.js';
import { VaultStore } from './vault.store.js';
import type { VaultLogin, VaultOptions } from './vault.store.js';

const credential = { jwt: 'eyJ.service.account', role: 'millrace' };

function file(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-vault-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  writeFileSync(path, content);
  return path;
}

const byJwt = (jwt = credential.jwt): VaultLogin => ({
  kind: 'jwt',
  mount: 'kubernetes',
  role: credential.role,
  jwtFile: file(`${jwt}\n`),
});

async function vault(
  options: VaultStandInOptions = { credential },
  more: Partial<VaultOptions> = {},
): Promise<{ server: VaultStandIn; store: VaultStore }> {
  const server = await startVaultStandIn(options);
  const store = new VaultStore({ address: server.url, mount: 'secret', prefix: 'millrace', login: byJwt(), ...more });
  onTestFinished(async () => {
    await store.close();
    await server.stop();
  });
  return { server, store };
}

describe('Vault', () => {
  secretStoreConformance(async () => {
    const { server, store } = await vault();
    return {
      store,
      put: (tenant, path, secrets) => server.put(`secret/millrace/${tenant}/${path}`, secrets),
      remove: (tenant, path) => server.delete(`secret/millrace/${tenant}/${path}`),
    };
  });

  test('is logged in to once, by reads at the same time, too', async () => {
    const { server, store } = await vault();
    server.put('secret/millrace/acme/a', { value: '1' });
    await Promise.all([store.read('acme', 'a'), store.read('acme', 'a')]);
    await store.read('acme', 'a');
    expect(server.logins).toBe(1);
  });

  test('is logged in to anew when it forgot its tokens, and not again and again for what no policy allows', async () => {
    const { server, store } = await vault();
    server.put('secret/millrace/acme/a', { value: '1' });
    await store.read('acme', 'a');
    server.revokeAll();
    expect((await store.read('acme', 'a')).get('value')).toEqual({ text: '1' });
    expect(server.logins).toBe(2);
    const { server: strict, store: refused } = await vault({ credential, allowed: 'secret/millrace/other/' });
    await expect(refused.read('acme', 'a')).rejects.toThrow('the policy of Millrace must allow read on secret/data/millrace/acme/*');
    expect(strict.logins).toBe(2);
  });

  test('is logged in to anew before a token ends', async () => {
    const { server, store } = await vault({ credential, leaseSeconds: 0.000_1 });
    server.put('secret/millrace/acme/a', { value: '1' });
    await store.read('acme', 'a');
    await store.read('acme', 'a');
    expect(server.logins).toBe(2);
  });

  test('is logged in to by AppRole, or asked with the token of a file, which may change', async () => {
    const { server, store } = await vault(
      { credential: { roleId: 'r-1', secretId: 's-1' } },
      { login: { kind: 'approle', mount: 'approle', roleId: 'r-1', secretIdFile: file('s-1') } },
    );
    server.put('secret/millrace/acme/a', { value: '1' });
    expect((await store.read('acme', 'a')).get('value')).toEqual({ text: '1' });
    const tokenFile = file('hvs.unknown');
    const { server: other, store: byFile } = await vault({}, { login: { kind: 'token', tokenFile } });
    other.put('secret/millrace/acme/a', { value: '2' });
    await expect(byFile.read('acme', 'a')).rejects.toThrow(SecretEntryMissing);
    writeFileSync(tokenFile, `${other.issue('secret/millrace/')}\n`);
    expect((await byFile.read('acme', 'a')).get('value')).toEqual({ text: '2' });
  });

  test('is reached with TLS by its own authority, and in a namespace', async () => {
    const options = { credential, namespace: 'teams/a', tls: testCertificates.server };
    const { server, store } = await vault(options, { ca: testCertificates.authority, namespace: 'teams/a' });
    server.put('secret/millrace/acme/a', { value: '1' });
    expect((await store.read('acme', 'a')).get('value')).toEqual({ text: '1' });
    const { store: untrusting } = await vault(options, { namespace: 'teams/a' });
    await expect(untrusting.read('acme', 'a')).rejects.toThrow(SecretStoreUnavailable);
  });

  test('is unavailable while it is sealed, refuses the login, or does not answer, and comes back by itself', async () => {
    const { server, store } = await vault();
    server.put('secret/millrace/acme/a', { value: '1' });
    server.isSealed = true;
    await expect(store.read('acme', 'a')).rejects.toThrow('refused the login at auth/kubernetes with status 503');
    server.isSealed = false;
    expect((await store.read('acme', 'a')).get('value')).toEqual({ text: '1' });
    server.isSealed = true;
    await expect(store.read('acme', 'a')).rejects.toThrow('answered the read of secret/millrace/acme/a with status 503');
    const { store: wrong } = await vault({ credential }, { login: byJwt('eyJ.other') });
    await expect(wrong.read('acme', 'a')).rejects.toThrow('refused the login at auth/kubernetes with status 403');
    const { store: gone } = await vault({ credential }, { address: 'http://127.0.0.1:1' });
    await expect(gone.read('acme', 'a')).rejects.toThrow(SecretStoreUnavailable);
  });

  test('says nothing of a token or a secret in a failure', async () => {
    const { server, store } = await vault();
    server.put('secret/millrace/acme/a', { value: 'hunter2' });
    await store.read('acme', 'a');
    server.isSealed = true;
    const failure = await store.read('acme', 'a').catch((error: unknown) => error);
    expect(JSON.stringify([failure, String(failure)])).not.toMatch(/hvs\.|hunter2|eyJ/);
  });

  test('says of what is no text that it is no secret', async () => {
    const { server, store } = await vault();
    server.put('secret/millrace/acme/a', { value: 7, text: 'x' });
    expect(await store.read('acme', 'a')).toEqual(
      new Map<string, object>([
        ['value', { problem: 'is no text' }],
        ['text', { text: 'x' }],
      ]),
    );
  });
});
