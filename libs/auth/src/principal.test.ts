import { expect, test } from 'vitest';
import type { Scope } from '#libs/contracts';
import { requireScope } from './index.js';

const principal = (...scopes: Scope[]) => ({ keyId: 'k', tenant: 'acme', scopes, actor: 'key:k' });

test('a principal may do what its scopes say', () => {
  expect(() => requireScope(principal('read'), 'read')).not.toThrow();
});

test('what its scopes do not say is refused with the scope to ask for', () => {
  expect(() => requireScope(principal('read', 'ingest'), 'operate')).toThrow(
    'This needs the scope operate; the API key has read, ingest. Use a key with that scope.',
  );
});

test('admin implies every scope', () => {
  expect(() => requireScope(principal('admin'), 'operate')).not.toThrow();
});
