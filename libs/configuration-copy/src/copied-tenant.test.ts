import { expect, test } from 'vitest';
import { document } from '#libs/contracts';
import type { TenantDocument } from '#libs/contracts';
import type { TenantConfiguration } from '#libs/persistence';
import { copyOf, digestOf, snapshotOf } from './copied-tenant.js';

function configurationWith(spec: object): Pick<TenantConfiguration, 'documents' | 'apiKeys'> {
  const given = document.parse({
    apiVersion: 'millrace/v1',
    kind: 'Tenant',
    metadata: { name: 'acme' },
    spec: { displayName: 'Acme', ...spec },
  });
  const stored = { tenant: 'acme', kind: 'Tenant' as const, name: 'acme', version: 3, document: given };
  return { documents: new Map([['Tenant/acme', stored]]), apiKeys: [] };
}

test('a door that starts from the copy knows the rate of the tenant, and nothing else of its document', () => {
  const rateLimit = { perMinute: 600, burst: 60 };
  const { documents } = snapshotOf('acme', 0, JSON.parse(JSON.stringify(copyOf(configurationWith({ rateLimit })))));
  expect(documents.map(({ kind, name }) => [kind, name])).toEqual([['Tenant', 'acme']]);
  expect((documents[0]!.document as TenantDocument).spec).toEqual({ displayName: 'acme', rateLimit });
});

test('a tenant without a rate has no document in the copy, and its copy is written again when it gets one', () => {
  const [without, withRate] = [configurationWith({}), configurationWith({ rateLimit: { perMinute: 600 } })];
  expect(snapshotOf('acme', 0, copyOf(without)).documents).toEqual([]);
  expect(digestOf(without)).toBe(digestOf(configurationWith({ displayName: 'Another' })));
  expect(digestOf(withRate)).not.toBe(digestOf(without));
  expect(digestOf(withRate)).not.toBe(digestOf(configurationWith({ rateLimit: { perMinute: 601 } })));
});
