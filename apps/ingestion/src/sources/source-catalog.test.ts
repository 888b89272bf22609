import type { SourceDocument, SourceSpec } from '#libs/contracts';
import type { Configuration, DocumentSecrets, Stored } from '#libs/persistence';
import { expect, onTestFinished, test, vi } from 'vitest';
import { resolveSource } from '#libs/sources';
import { SourceCatalog } from './source-catalog.js';

const lane = { default: 'normal' as const, rules: [] };
const stripe: SourceSpec = { scheme: 'stripe', secrets: [{ value: 'whsec_x' }], lane };
const invoice = { body: { id: 'evt_1', type: 'invoice.paid', account: 'acct_1', created: 1_750_000_000 }, headers: {} };

test('what the document leaves open, the preset says', async () => {
  expect(await resolveSource('acme', 's', stripe).fields.read(invoice)).toEqual({
    eventId: 'evt_1',
    type: 'invoice.paid',
    customer: 'acct_1',
    occurredAt: '2025-06-15T15:06:40.000Z',
    problems: {},
  });
});

test('an expression in the document takes the place of all of the preset’s', async () => {
  const spec: SourceSpec = { ...stripe, customer: 'body.merchant', eventId: '"stripe-" & body.id', type: '$uppercase(body.type)' };
  const fields = await resolveSource('acme', 's', spec).fields.read(invoice);
  expect(fields).toMatchObject({ eventId: 'stripe-evt_1', type: 'INVOICE.PAID', customer: null });
});

test('the first lane rule that fits the type wins', () => {
  const rules = [
    { types: ['charge.dispute.*'], lane: 'high' as const },
    { types: ['charge.*', 'payout.*'], lane: 'low' as const },
  ];
  const source = resolveSource('acme', 's', { ...stripe, lane: { default: 'normal', rules } });
  expect(['charge.dispute.created', 'charge.updated', 'invoice.paid'].map(source.laneOf)).toEqual(['high', 'low', 'normal']);
});

test('a source with API keys reads the attributes of CloudEvents, and takes no webhooks', async () => {
  const source = resolveSource('acme', 's', { scheme: 'api-key', lane });
  const headers = { 'ce-id': '1', 'ce-type': 'ticket.opened', 'ce-subject': 'c-1', 'ce-time': '2026-01-31T12:00:00Z' };
  expect(await source.fields.read({ body: null, headers })).toMatchObject({ eventId: '1', type: 'ticket.opened', customer: 'c-1' });
  expect(await source.fields.read({ body: { customer: 'c-2' }, headers: { 'ce-id': '1' } })).toMatchObject({ customer: 'c-2' });
  expect(source.webhook).toBeUndefined();
});

test('a document whose secret or expression cannot be read does not resolve', () => {
  const scheme = { scheme: 'standard-webhooks' as const, lane };
  expect(() => resolveSource('acme', 's', { ...scheme, secrets: [{ value: 'not base64!' }] })).toThrow('spec.secrets.0: the secret is not');
  expect(() => resolveSource('acme', 's', { ...stripe, customer: 'body..' })).toThrow('body..');
});

test('a name that does not exist is looked for once a second, and one that does by all that ask at once', async () => {
  const looked: string[] = [];
  const stored = new Map<string, Stored<SourceDocument>>();
  const configuration = {
    source: (_: string, name: string) => stored.get(name),
    newSource: async (tenant: string, name: string) => {
      looked.push(name);
      await Promise.resolve();
      const spec = { ...stripe };
      if (name === 'fresh') stored.set(name, { tenant, name, kind: 'Source', version: 1, document: { spec } as SourceDocument });
    },
  };
  const catalog = new SourceCatalog(configuration as unknown as Configuration, { opened: (one: unknown) => one } as DocumentSecrets);
  const now = vi.spyOn(performance, 'now').mockReturnValue(10_000);
  onTestFinished(() => now.mockRestore());
  for (let round = 0; round < 100; round += 1) expect(await catalog.atNew('acme.nowhere')).toBeUndefined();
  expect(looked).toEqual(['nowhere']);
  now.mockReturnValue(11_000);
  await catalog.atNew('acme.nowhere');
  expect(looked).toEqual(['nowhere', 'nowhere']);
  const found = await Promise.all([catalog.atNew('acme.fresh'), catalog.atNew('acme.fresh')]);
  expect(found).toMatchObject([{ name: 'fresh' }, { name: 'fresh' }]);
  expect(await catalog.atNew('no-address')).toBeUndefined();
});

test('a source that was changed is read again once a second for its tenant, by all that ask at once', async () => {
  let version = 1;
  let committed = 1;
  const read: string[] = [];
  const stored = (tenant: string, name: string) => ({
    tenant,
    name,
    kind: 'Source',
    version,
    document: { spec: stripe } as SourceDocument,
  });
  const configuration = {
    source: stored,
    readTenantAgain: async (tenant: string) => {
      read.push(tenant);
      await Promise.resolve();
      version = committed;
    },
  };
  const catalog = new SourceCatalog(configuration as unknown as Configuration, { opened: (one: unknown) => one } as DocumentSecrets);
  const now = vi.spyOn(performance, 'now').mockReturnValue(10_000);
  onTestFinished(() => now.mockRestore());
  const source = catalog.find('acme', 's')!;
  committed = 2;
  expect(await Promise.all([catalog.changed(source), catalog.changed(source)])).toMatchObject([{ name: 's' }, { name: 's' }]);
  committed = 3;
  expect(await catalog.changed(source), 'within the same second').toBeUndefined();
  expect(read).toEqual(['acme']);
  now.mockReturnValue(11_000);
  expect(await catalog.changed(source)).toMatchObject({ name: 's' });
  now.mockReturnValue(12_000);
  expect(await catalog.changed(source), 'nothing has changed').toBeUndefined();
});
