import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { SecretBox, issueApiKey } from '#libs/auth';
import { document as documentSchema } from '#libs/contracts';
import { freshDatabase, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { registry } from '#libs/tracing';
import {
  ApiKeyTable,
  Configuration,
  ConfigurationTooOld,
  ConfigurationUnavailable,
  Database,
  DocumentSecrets,
  DocumentSecretsUnreadable,
  DocumentTable,
  StorageUnavailable,
} from './index.js';
import type { ConfigurationSnapshot, TenantSnapshot } from './index.js';

const secretBox = new SecretBox(randomBytes(32));
const documents = new DocumentTable(secretBox);
const secrets = new DocumentSecrets(secretBox);
const apiKeys = new ApiKeyTable();
const tenant = uniqueName('tenant');
/** So long that only notices can be what refreshed. */
const refreshMs = 600_000;

function connect(url: string): Promise<Database> {
  return Database.connect({ url, role: 'millrace_service', applicationName: 'configuration-test' });
}

function save(database: Database, kind: string, name: string, spec: object): Promise<unknown> {
  const metadata = kind === 'Tenant' ? { name } : { tenant, name };
  return documents.save(database, { document: documentSchema.parse({ apiVersion: 'millrace/v1', kind, metadata, spec }), actor: 'test' });
}

/** Documents and keys are saved without a word from now on, as if every notice were lost. */
async function withoutNotices(url: string): Promise<void> {
  const owner = new Client({ connectionString: url });
  await owner.connect();
  for (const table of ['document', 'api_key']) await owner.query(`DROP TRIGGER configuration_changed_by_insert ON ${table}`);
  await owner.end();
}

const flow = (expression: string) => ({ steps: [{ id: 'a', map: { expression } }] });
const crm = (url: string) => ({ kind: 'http', url, secret: { value: 'whsec_c2VjcmV0' } });

describe('on a running Postgres', () => {
  let fresh: FreshDatabase;
  let database: Database;
  let configuration: Configuration;
  beforeEach(async () => {
    fresh = await freshDatabase();
    database = await connect(fresh.url);
    configuration = new Configuration(database, { secretBox, refreshMs });
  });
  afterEach(async () => {
    await configuration.stop();
    await database.close();
    await fresh.close();
  });

  test('nothing can be asked before the first read', async () => {
    expect(configuration.ready()).toBe(false);
    expect(() => configuration.source(tenant, 'shop')).toThrow(ConfigurationUnavailable);
    expect(() => configuration.flows(tenant)).toThrow(ConfigurationUnavailable);
    expect(() => configuration.apiKey('id')).toThrow(ConfigurationUnavailable);
  });

  test('current documents are there from the start, with their secrets sealed until they are used', async () => {
    await save(database, 'Tenant', tenant, { displayName: 'Acme' });
    await save(database, 'Source', 'shop', { scheme: 'stripe', secrets: [{ value: 'whsec_1' }] });
    await save(database, 'Destination', 'crm', crm('https://crm.example'));
    await save(database, 'Flow', 'b', flow('2'));
    await save(database, 'Flow', 'a', flow('1'));
    await configuration.start();

    expect(configuration.tenant(tenant)?.document.spec.displayName).toBe('Acme');
    const shop = configuration.source(tenant, 'shop')!;
    expect(shop).toMatchObject({ version: 1, document: { spec: { secrets: [{ sealed: expect.stringMatching(/^v2\./) }] } } });
    expect(secrets.opened(shop.document)).toMatchObject({ spec: { secrets: [{ value: 'whsec_1' }] } });
    expect(secrets.opened(shop.document)).toBe(secrets.opened(shop.document));
    expect(secrets.opened(configuration.destination(tenant, 'crm')!.document)).toMatchObject({
      spec: { secret: { value: 'whsec_c2VjcmV0' } },
    });
    expect(configuration.flows(tenant).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(configuration.flows('globex')).toEqual([]);
    expect(configuration.source('globex', 'shop')).toBeUndefined();
  });

  test('a saved version is heard of, and so is a removal', async () => {
    await save(database, 'Destination', 'crm', crm('https://old.example'));
    await configuration.start();
    await save(database, 'Destination', 'crm', crm('https://new.example'));
    await waitFor(() => configuration.destination(tenant, 'crm')?.version === 2, { what: 'the new version' });
    expect(configuration.destination(tenant, 'crm')?.document.spec).toHaveProperty('url', 'https://new.example');

    await documents.remove(database, { tenant, kind: 'Destination', name: 'crm', actor: 'test' });
    await waitFor(() => configuration.destination(tenant, 'crm') === undefined, { what: 'the removal' });
  });

  test('a notice makes only its tenant be read again, and an unchanged document stays the same object', async () => {
    await save(database, 'Destination', 'crm', crm('https://crm.example'));
    await save(database, 'Destination', 'mail', crm('https://mail.example'));
    await configuration.start();
    const unchanged = configuration.destination(tenant, 'mail');
    const readAll = vi.spyOn(DocumentTable.prototype, 'currentOfAll');
    const readOne = vi.spyOn(DocumentTable.prototype, 'current');
    await save(database, 'Destination', 'crm', crm('https://new.example'));
    await waitFor(() => configuration.destination(tenant, 'crm')?.version === 2, { what: 'the new version' });
    expect(configuration.destination(tenant, 'mail')).toBe(unchanged);
    expect(readAll).not.toHaveBeenCalled();
    expect(readOne.mock.calls.map(([, name]) => name)).toEqual([tenant]);
    vi.restoreAllMocks();
  });

  async function createKey(): Promise<string> {
    const { id, secretHash } = issueApiKey('test');
    await apiKeys.insert(database, { tenant, id, name: 'n', secretHash, scopes: ['read'], createdBy: 'operator', expiresAt: null });
    return id;
  }

  test('a new API key works at once, and its revocation is heard of', async () => {
    await configuration.start();
    const id = await createKey();
    expect(await configuration.apiKey(id)).toMatchObject({ id, tenant, scopes: ['read'] });
    await apiKeys.revoke(database, { tenant, id });
    await waitFor(async () => (await configuration.apiKey(id)) === undefined, { what: 'the revocation' });
  });

  test('a key that was asked for before it existed, and whose notice is lost, works at once and is then in memory', async () => {
    await configuration.start();
    await withoutNotices(fresh.ownerUrl);
    const { id, secretHash } = issueApiKey('test');
    expect(await configuration.apiKey(id)).toBeUndefined();
    await apiKeys.insert(database, { tenant, id, name: 'n', secretHash, scopes: ['read'], createdBy: 'operator', expiresAt: null });
    expect(await configuration.apiKey(id)).toMatchObject({ id, tenant });
    await waitFor(() => !(configuration.apiKey(id) instanceof Promise), { what: 'the key in memory' });
  });

  test('many unknown keys at once cost two statements', async () => {
    await configuration.start();
    const read = vi.spyOn(ApiKeyTable.prototype, 'activeById');
    onTestFinished(() => read.mockRestore());
    const ids = Array.from({ length: 500 }, () => randomBytes(8).toString('hex'));
    expect(new Set(await Promise.all(ids.map((id) => Promise.resolve(configuration.apiKey(id)))))).toEqual(new Set([undefined]));
    expect(read).toHaveBeenCalledTimes(2);
  });

  test('a source whose notice is lost is found when it is asked for, and its tenant is then in memory', async () => {
    await configuration.start();
    await withoutNotices(fresh.ownerUrl);
    expect(await configuration.newSource(tenant, 'shop')).toBeUndefined();
    await save(database, 'Source', 'shop', { scheme: 'stripe', secrets: [{ value: 'whsec_1' }] });
    expect(configuration.source(tenant, 'shop')).toBeUndefined();
    expect(await configuration.newSource(tenant, 'shop')).toMatchObject({ tenant, name: 'shop', version: 1 });
    expect(configuration.source(tenant, 'shop')).toBeDefined();
    await documents.remove(database, { tenant, kind: 'Source', name: 'shop', actor: 'test' });
    await configuration.readAgain();
    expect(await configuration.newSource(tenant, 'shop')).toBeUndefined();
  });

  test('who asks for what was applied before gets it though the notice is lost, and reads the tenant only where something has changed', async () => {
    await save(database, 'Flow', 'triage', flow('1'));
    await configuration.start();
    await withoutNotices(fresh.ownerUrl);
    const readTenant = vi.spyOn(DocumentTable.prototype, 'current');
    onTestFinished(() => readTenant.mockRestore());
    const known = configuration.flow(tenant, 'triage');
    expect(await configuration.storedFlow(tenant, 'triage')).toBe(known);
    expect(await configuration.storedFlow(uniqueName('stranger'), 'triage')).toBeUndefined();
    expect(readTenant).not.toHaveBeenCalled();

    await save(database, 'Flow', 'triage', flow('2'));
    await save(database, 'Destination', 'crm', crm('https://crm.example'));
    expect(configuration.flow(tenant, 'triage')).toBe(known);
    const all = await Promise.all(Array.from({ length: 50 }, () => configuration.storedFlow(tenant, 'triage')));
    expect(new Set(all.map((one) => one?.version))).toEqual(new Set([2]));
    expect(configuration.destination(tenant, 'crm')).toBeDefined();
    expect(readTenant.mock.calls.length).toBeLessThan(3);

    await documents.remove(database, { tenant, kind: 'Flow', name: 'triage', actor: 'test' });
    expect(await configuration.storedFlow(tenant, 'triage')).toBeUndefined();
  });

  test('who asks for what was applied before is told so where it cannot be read', async () => {
    await configuration.start();
    await withoutNotices(fresh.ownerUrl);
    await save(database, 'Flow', 'triage', flow('1'));
    const readTenant = vi.spyOn(DocumentTable.prototype, 'current').mockRejectedValue(new StorageUnavailable('away'));
    onTestFinished(() => readTenant.mockRestore());
    await expect(configuration.catchUp(tenant)).rejects.toBeInstanceOf(StorageUnavailable);
  });

  test('many unknown sources at once cost two statements, and nothing of them is kept', async () => {
    await configuration.start();
    const read = vi.spyOn(DocumentTable.prototype, 'existing');
    const readTenant = vi.spyOn(DocumentTable.prototype, 'current');
    onTestFinished(() => [read, readTenant].forEach((spy) => spy.mockRestore()));
    const found = await Promise.all(Array.from({ length: 500 }, () => configuration.newSource(uniqueName('stranger'), 'shop')));
    expect(new Set(found)).toEqual(new Set([undefined]));
    expect(read).toHaveBeenCalledTimes(2);
    expect(readTenant).not.toHaveBeenCalled();
    expect(configuration.tenantNames()).toEqual([]);
  });

  test('a change whose notice was lost is found at the next refresh', async () => {
    await configuration.stop();
    configuration = new Configuration(database, { secretBox, refreshMs: 50 });
    await configuration.start();
    await withoutNotices(fresh.ownerUrl);
    await save(database, 'Flow', 'a', flow('1'));
    const flows = await waitFor(() => [configuration.flows(tenant)].find(({ length }) => length > 0), { what: 'the flow' });
    expect(flows).toMatchObject([{ name: 'a', version: 1 }]);
  });

  test('an old version of a flow is read from Postgres, and then known', async () => {
    await save(database, 'Flow', 'a', flow('1'));
    await save(database, 'Flow', 'a', flow('2'));
    await configuration.start();
    expect(await configuration.flowVersion(tenant, 'a', 2)).toBe(configuration.flows(tenant)[0]);
    const old = await configuration.flowVersion(tenant, 'a', 1);
    expect(old.document.spec.steps[0]?.map?.expression).toBe('1');
    expect(await configuration.flowVersion(tenant, 'a', 1)).toBe(old);
    await expect(configuration.flowVersion(tenant, 'a', 3)).rejects.toThrow('has no version 3');
  });

  test('a document whose secret cannot be opened says so where it is used, and the others are served', async () => {
    const foreign = new DocumentTable(new SecretBox(randomBytes(32)));
    const lost = documentSchema.parse({
      apiVersion: 'millrace/v1',
      kind: 'Destination',
      metadata: { tenant, name: 'lost' },
      spec: crm('https://x.example'),
    });
    await foreign.save(database, { document: lost, actor: 'test' });
    await save(database, 'Destination', 'crm', crm('https://crm.example'));
    await configuration.start();
    expect(() => secrets.opened(configuration.destination(tenant, 'lost')!.document)).toThrow(DocumentSecretsUnreadable);
    expect(secrets.opened(configuration.destination(tenant, 'crm')!.document)).toBeDefined();
  });
});

describe('when Postgres goes away', () => {
  let directory: string;
  let postgres: EmbeddedPostgres;
  let database: Database;
  let configuration: Configuration;
  const startPostgres = () => EmbeddedPostgres.start({ directory, durable: false });
  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'millrace-configuration-'));
    postgres = await startPostgres();
    await migrate(postgres.ownerUrl);
    database = await connect(postgres.serviceUrl);
    configuration = new Configuration(database, { secretBox, refreshMs });
    await save(database, 'Flow', 'a', flow('1'));
  });
  afterEach(async () => {
    await configuration.stop();
    await database.close();
    await postgres.stop();
    await rm(directory, { recursive: true });
  });

  test('the last read goes on serving, and changes are heard of again once it is back', async () => {
    await configuration.start();
    const age = async (): Promise<number> => (await registry.getSingleMetric('millrace_configuration_age_seconds')!.get()).values[0]!.value;
    const before = await age();
    await postgres.stop();
    expect(await age()).toBeGreaterThan(before);
    await expect(database.ping()).rejects.toThrow('Postgres is not available');
    expect(configuration.flows(tenant)).toHaveLength(1);
    await expect(configuration.apiKey('0123456789abcdef')).rejects.toThrow('Postgres is not available');

    postgres = await startPostgres();
    await save(database, 'Flow', 'b', flow('2'));
    await waitFor(() => configuration.flows(tenant).length === 2, { what: 'the flow saved after the return' });
  });

  test('a start in the meantime is ready as soon as it is back', async () => {
    await postgres.stop();
    await configuration.start();
    expect(configuration.ready()).toBe(false);
    postgres = await startPostgres();
    await waitFor(() => configuration.ready(), { what: 'the first read' });
    expect(configuration.flows(tenant)).toHaveLength(1);
  });

  test('what stands in for it replaces what is older, tenant by tenant, until Postgres is back', async () => {
    let handOn: ((snapshot: ConfigurationSnapshot) => void) | undefined;
    const fallback = {
      follow: (onSnapshot: typeof handOn) => void (handOn ??= onSnapshot),
      unfollow: async () => void (handOn = undefined),
    };
    configuration = new Configuration(database, { secretBox, refreshMs, fallback });
    await configuration.start();
    const { asOfMs } = configuration.lastRead();
    const ofTenant = (name: string, time: number): [string, TenantSnapshot] => [
      name,
      { asOfMs: time, documents: [{ ...configuration.flows(tenant)[0]!, tenant: name, version: 9 }], apiKeys: [] },
    ];
    const snapshot = (time: number, ...tenants: [string, TenantSnapshot][]): ConfigurationSnapshot => ({
      asOfMs: time,
      indexAsOfMs: time,
      tenants: new Map(tenants),
      unpublished: new Set(['large']),
    });
    expect(handOn).toBeUndefined();
    await postgres.stop();
    await waitFor(() => handOn !== undefined, { what: 'the fallback to be followed' });
    expect(() => configuration.requireFresh()).not.toThrow();

    handOn!(snapshot(asOfMs - 1, ofTenant(tenant, asOfMs - 1)));
    expect(configuration.flows(tenant)).toMatchObject([{ version: 1 }]);
    handOn!(snapshot(asOfMs + 10, ofTenant(tenant, asOfMs - 1), ofTenant('new', asOfMs + 5)));
    expect([configuration.flows(tenant)[0]?.version, configuration.flows('new')[0]?.version]).toEqual([1, 9]);
    expect(() => configuration.requireFresh()).toThrow('read from the log’s copy');
    expect(() => configuration.source('large', 'shop')).toThrow(ConfigurationUnavailable);
    expect(configuration.source('nobody', 'shop')).toBeUndefined();
    handOn!(snapshot(asOfMs + 20, ofTenant('new', asOfMs + 5)));
    expect(configuration.flows(tenant)).toEqual([]);

    postgres = await startPostgres();
    await waitFor(() => handOn === undefined, { what: 'the fallback to be left' });
    expect([configuration.flows(tenant)[0]?.version, configuration.flows('new').length]).toEqual([1, 0]);
    expect(() => configuration.requireFresh()).not.toThrow();
  });

  test('what was read too long ago is not served, and what is read when it is back is', async () => {
    configuration = new Configuration(database, { secretBox, refreshMs: 50, maxAgeMs: 5_000 });
    await configuration.start();
    expect(configuration.flows(tenant)).toHaveLength(1);
    await postgres.stop();
    await waitFor(() => attempt(() => configuration.flows(tenant)) instanceof ConfigurationTooOld, { what: 'the refusal' });
    expect(() => configuration.requireFresh()).toThrow('and CONFIGURATION_MAX_AGE_MS allows 5 s');
    expect(configuration.ready()).toBe(true);
    postgres = await startPostgres();
    await waitFor(() => Array.isArray(attempt(() => configuration.flows(tenant))), { what: 'the flows' });
  });
});

function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
