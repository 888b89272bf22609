import { describe, expect, test } from 'vitest';
import type { Scope } from '#libs/contracts';
import { CredentialInvalid, CredentialMissing, KeyRing, TenantForbidden, TenantNotNamed, issueApiKey, parseApiKey } from './index.js';
import type { CheckableApiKey } from './index.js';

const now = Date.UTC(2026, 10, 21);
const operatorKey = 'operator-key-of-this-test';

function issued(changes: Partial<CheckableApiKey> = {}): { key: string; stored: CheckableApiKey } {
  const { key, id, secretHash } = issueApiKey('test');
  const scopes: Scope[] = ['read', 'ingest'];
  const stored = {
    id,
    tenant: 'acme',
    name: 'n',
    secretHash,
    scopes,
    createdAt: new Date(now),
    createdBy: 'operator',
    expiresAt: null,
    revokedAt: null,
  };
  return { key, stored: { ...stored, ...changes } };
}

function ringWith(...keys: CheckableApiKey[]): KeyRing {
  return new KeyRing((id) => keys.find((key) => key.id === id), { operatorKey, clock: () => now });
}

test('an issued key has the documented form and can be taken apart', () => {
  const { key, id } = issueApiKey('live');
  expect(key).toMatch(/^mr_live_[0-9a-f]{16}_[0-9a-f]{48}$/);
  expect(parseApiKey(key)).toMatchObject({ environment: 'live', id });
});

test('an environment that would break the form is refused', () => {
  expect(() => issueApiKey('my_env')).toThrow("it is 'my_env'");
});

test('a key is who it was issued to', async () => {
  const { key, stored } = issued();
  const principal = await ringWith(stored).authenticate(`Bearer ${key}`);
  expect(principal).toEqual({ keyId: stored.id, tenant: 'acme', scopes: ['read', 'ingest'], actor: `key:${stored.id}` });
});

test('the scheme is read whatever its case, as RFC 9110 has it', async () => {
  const { key, stored } = issued();
  await expect(ringWith(stored).authenticate(`bearer ${key}`)).resolves.toMatchObject({ tenant: 'acme' });
});

test.each([undefined, '', 'Basic YTpi', 'Bearer', 'Bearer '])(
  'without a bearer key (%s) the caller learns how to send one',
  async (header) => {
    await expect(ringWith().authenticate(header)).rejects.toThrow(CredentialMissing);
  },
);

describe('a key is refused', () => {
  const { key, stored } = issued();

  test.each([
    ['that nobody has', 'Bearer mr_test_0000000000000000_000000000000000000000000000000000000000000000000', stored],
    ['that is no key', 'Bearer hunter2', stored],
    ['with another secret', `Bearer ${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`, stored],
    ['that was revoked', `Bearer ${key}`, { ...stored, revokedAt: new Date(now - 1) }],
    ['from the moment it expires', `Bearer ${key}`, { ...stored, expiresAt: new Date(now) }],
  ])('%s', async (_, header, known) => {
    await expect(ringWith(known).authenticate(header)).rejects.toThrow(CredentialInvalid);
  });

  test('without a word of it in the error', async () => {
    const error = await ringWith().authenticate(`Bearer ${key}`).catch(String);
    expect(error).not.toContain(stored.id);
    expect(error).toContain('Ask an administrator');
  });

  test('for another tenant than its own', async () => {
    const ring = ringWith(stored);
    await expect(ring.authenticate(`Bearer ${key}`, 'globex')).rejects.toThrow(TenantForbidden);
    await expect(ring.authenticate(`Bearer ${key}`, 'acme')).resolves.toMatchObject({ tenant: 'acme' });
  });
});

describe('the operator key', () => {
  test('acts in the tenant that the header names, with every scope', async () => {
    await expect(ringWith().authenticate(`Bearer ${operatorKey}`, 'globex')).resolves.toEqual({
      keyId: 'operator',
      tenant: 'globex',
      scopes: ['ingest', 'read', 'operate', 'review', 'admin'],
      actor: 'operator',
    });
  });

  test.each([undefined, '', 'Not a name', "x'; drop"])('needs a tenant it can act in: %s', async (tenant) => {
    await expect(ringWith().authenticate(`Bearer ${operatorKey}`, tenant)).rejects.toThrow(TenantNotNamed);
  });

  test('opens nothing where none is set', async () => {
    await expect(new KeyRing(() => undefined).authenticate(`Bearer ${operatorKey}`, 'acme')).rejects.toMatchObject({
      code: 'credential.invalid',
      message: expect.stringMatching(
        /Only API keys of a tenant .* not the operator key\. Create one with the mutation `createApiKey`/,
      ) as string,
    });
  });
});
