import { describe, expect, test } from 'vitest';
import type { Principal, StoredApiKey } from '#libs/auth';
import { document } from '#libs/contracts';
import type { Document } from '#libs/contracts';
import {
  inUse,
  irremovable,
  keysInForce,
  misdirected,
  misplaced,
  missing,
  nameOf,
  rowsAfter,
  withThoseThatName,
  unremovable,
} from './document.rules.js';
import type { NamedDocument } from './document.rules.js';

const documentOf = (kind: string, metadata: object, spec: object): Document =>
  document.parse({ apiVersion: 'millrace/v1', kind, metadata, spec });
const tenant = documentOf('Tenant', { name: 'acme' }, { displayName: 'Acme' });
const crm = documentOf(
  'Destination',
  { tenant: 'acme', name: 'crm' },
  { kind: 'http', url: 'https://crm.example', secret: { value: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=' } },
);
const triage = documentOf('Flow', { tenant: 'acme', name: 'triage' }, { steps: [{ id: 'tell', deliver: { destination: 'crm' } }] });
const row = (one: Document): NamedDocument => ({ ...nameOf(one), document: one });

describe('an expected version', () => {
  const expected = { kind: 'Flow', name: 'triage', version: 3 } as const;

  test('is of a document that the request changes', () => {
    expect(misdirected(expected, 0, [expected], [nameOf(triage)])).toEqual([]);
    expect(misdirected(expected, 1, [{ ...expected, name: 'other' }, expected], [nameOf(crm)])).toEqual([
      { path: ['expectedVersions', '1', 'name'], message: 'is not among the documents: Flow/triage' },
    ]);
  });

  test('is given once', () => {
    const twice = [expected, { ...expected, version: 4 }];
    expect(twice.map((each, at) => misdirected(each, at, twice, [nameOf(triage)]))).toEqual([
      [],
      [{ path: ['expectedVersions', '1', 'name'], message: 'is given twice: Flow/triage' }],
    ]);
  });
});

describe('a removal', () => {
  const messages = (found: readonly { message: string }[]): string[] => found.map(({ message }) => message);

  test('is neither of the tenant, nor of a document that the request gives, nor given twice', () => {
    expect(messages(irremovable(nameOf(tenant), 0, [nameOf(tenant)], []))).toEqual([
      'is the tenant itself: acme; remove it alone, with removeDocument',
    ]);
    expect(messages(irremovable(nameOf(crm), 0, [nameOf(crm)], [nameOf(crm)]))).toEqual([
      'is also among the documents: Destination/crm; leave it out of one of the two',
    ]);
    const twice = [nameOf(crm), nameOf(crm)];
    expect(twice.map((each, at) => messages(irremovable(each, at, twice, [nameOf(triage)])))).toEqual([
      [],
      ['is given twice: Destination/crm'],
    ]);
  });

  test('is of a stored document that nothing uses after the change', () => {
    const stored = [tenant, crm, triage].map(row);
    expect(messages(unremovable({ kind: 'Flow', name: 'other' }, 0, stored, stored))).toEqual([
      'names no document of this tenant: Flow/other',
    ]);
    expect(messages(unremovable(nameOf(crm), 0, stored, stored))).toEqual([
      'is used by Flow/triage: Destination/crm; change or remove what uses it, too',
    ]);
    expect(unremovable(nameOf(crm), 0, stored, [row(tenant)])).toEqual([]);
  });
});

test('after the change, what is given takes the place of what is stored', () => {
  const before = { ...nameOf(triage), document: crm };
  expect(rowsAfter([row(tenant), before], [triage])).toEqual([row(tenant), row(triage)]);
});

test('what stands beside a document that cannot be read is told only of documents that name it neither directly nor through others', () => {
  const named = withThoseThatName([nameOf(crm)], [row(tenant), row(crm), row(triage)]);
  expect(named.map(({ kind, name }) => `${kind}/${name}`)).toEqual(['Destination/crm', 'Flow/triage']);
  expect(withThoseThatName([nameOf(triage)], [row(crm), row(triage)])).toHaveLength(1);
});

test('what a document names is known', () => {
  expect(missing(triage, [row(tenant), row(crm)])).toEqual([]);
  expect(missing(triage, [row(tenant)])).toMatchObject([{ path: ['spec', 'steps', 0, 'deliver', 'destination'].map(String) }]);
  const renamed = { ...crm, metadata: { ...crm.metadata, name: 'crn' } } as Document;
  expect(missing(triage, [row(tenant), row(renamed)])).toMatchObject([
    { message: 'names no destination of this tenant: crm; did you mean crn?' },
  ]);
  expect(missing(crm, [])).toEqual([
    { path: ['metadata', 'tenant'], message: 'names no tenant: acme; apply its Tenant document first, or with this one' },
  ]);
});

test('a tenant is in use as long as it has any other document, and a document while another one names it', () => {
  expect(inUse(nameOf(tenant), [tenant, crm, triage].map(row))).toEqual(['is used by Destination/crm, Flow/triage']);
  expect(inUse(nameOf(tenant), [row(tenant)])).toEqual([]);
  expect(inUse(nameOf(crm), [crm, triage].map(row))).toEqual(['is used by Flow/triage']);
  expect(inUse(nameOf(triage), [crm, triage].map(row))).toEqual([]);
});

test('a document belongs to the tenant of the key, and a tenant to the operator', () => {
  const admin: Principal = { keyId: 'k', tenant: 'acme', scopes: ['admin'], actor: 'key:k' };
  expect(misplaced(admin, crm)).toEqual([]);
  expect(misplaced({ ...admin, tenant: 'beta' }, crm)).toEqual([
    { path: ['metadata', 'tenant'], message: 'is acme, and this key acts in beta' },
  ]);
  expect(misplaced({ ...admin, tenant: 'beta' }, tenant)).toMatchObject([{ path: ['metadata', 'name'] }]);
  expect(misplaced(admin, tenant)).toEqual([{ path: ['kind'], message: 'Tenant is for the operator’s key' }]);
  expect(misplaced({ ...admin, actor: 'operator' }, tenant)).toEqual([]);
});

test('a tenant is in use while one of its keys is in force', () => {
  const nowMs = Date.UTC(2026, 10, 29);
  const key = (more: Partial<StoredApiKey>): StoredApiKey => ({ revokedAt: null, expiresAt: null, ...more }) as StoredApiKey;
  const over = [key({ revokedAt: new Date(nowMs - 1) }), key({ expiresAt: new Date(nowMs) })];
  expect(keysInForce(over, nowMs)).toEqual([]);
  expect(keysInForce([...over, key({ expiresAt: new Date(nowMs + 1) })], nowMs)).toEqual([
    { path: ['name'], message: 'is used by an API key that is in force; revoke it first' },
  ]);
  expect(keysInForce([key({}), key({})], nowMs)).toMatchObject([{ message: 'is used by 2 API keys that are in force; revoke them first' }]);
});
