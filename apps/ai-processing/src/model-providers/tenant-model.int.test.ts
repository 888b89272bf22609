import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ModelCredentialRefused, ModelUnavailable } from '#libs/models';
import type { ModelEndpoint, ModelGateway } from '#libs/models';
import { Database, statement } from '#libs/persistence';
import type { Configuration } from '#libs/persistence';
import { freshDatabase, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import type { ModelProviderPool } from './model-provider.pool.js';
import { TenantModelService } from './tenant-model.service.js';
import { TenantModelStore } from './tenant-model.store.js';

let fresh: FreshDatabase;
let database: Database;
let store: TenantModelStore;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  store = new TenantModelStore(database);
});
afterEach(() => database.query(deleteAll));
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const deleteAll = statement('test.tenantModel.deleteAll', 'WITH outages AS (DELETE FROM model_outage) DELETE FROM tenant_model_provider');
const all = statement(
  'test.tenantModel.all',
  'SELECT tenant_id AS tenant, name, version, models, error_code AS "errorCode" FROM tenant_model_provider ORDER BY tenant_id, name',
);
const allOutages = statement('test.tenantModel.outages', 'SELECT tenant_id AS tenant, provider, model FROM model_outage ORDER BY 1, 2, 3');
const rows = (): Promise<Record<string, unknown>[]> => database.query(all);

const one = { tenant: 'acme', name: 'mine', version: 1 };

test('a provider is asked by one of many processes, and again when it is due', async () => {
  const turns = (): Promise<unknown[][]> => Promise.all(Array.from({ length: 8 }, () => store.takeTurns([one], 60_000)));
  expect((await turns()).flat()).toEqual([one]);
  expect((await turns()).flat(), 'the turn is taken').toEqual([]);
  await store.save(one, { models: ['m'] }, -1);
  expect((await turns()).flat()).toEqual([one]);
});

test('a new version is asked at once and begins with nothing; what comes late of the old one is dropped', async () => {
  await store.takeTurns([one], 60_000);
  await store.save(one, { models: ['m'] }, 60_000);
  const next = { ...one, version: 2 };
  expect(await store.takeTurns([next], 60_000)).toEqual([next]);
  expect(await store.takeTurns([one], 60_000), 'a process that has not read the new one').toEqual([]);
  await store.save(one, { models: ['old'] }, 60_000);
  expect(await rows()).toEqual([{ ...next, models: null, errorCode: null }]);
});

test('a failure keeps the models that were listed before', async () => {
  await store.takeTurns([one], 60_000);
  await store.save(one, { models: ['m'] }, 60_000);
  await store.save(one, { failure: { code: 'model.credential', message: 'no' } }, 60_000);
  expect(await rows()).toEqual([{ ...one, models: ['m'], errorCode: 'model.credential' }]);
});

test('a process asks all providers of tenants, one that fails beside the others, and says which models are out', async () => {
  const answers: Record<string, () => Promise<string[]>> = {
    'acme/good': async () => ['small', 'large'],
    'acme/refused': async () => Promise.reject(new ModelCredentialRefused('The key is refused')),
    'beta/away': async () => Promise.reject(new ModelUnavailable('away')),
  };
  const out = { tenant: 'acme', provider: 'good', model: 'large' };
  const service = new TenantModelService(
    {
      modelProviders: () => Object.keys(answers).map((key) => ({ tenant: key.split('/')[0]!, name: key.split('/')[1]!, version: 3 })),
    } as unknown as Configuration,
    {
      outages: () => [out],
      endpointAt: (tenant: string, name: string) => ({ models: answers[`${tenant}/${name}`]! }) as unknown as ModelEndpoint,
    } as unknown as ModelProviderPool,
    { endpoint: { outages: () => [{ tenant: 'beta', provider: null, model: 'm' }] } } as unknown as ModelGateway,
    store,
  );
  service.onApplicationBootstrap();
  onTestFinished(() => service.beforeApplicationShutdown());
  const expected = [
    { tenant: 'acme', name: 'good', version: 3, models: ['small', 'large'], errorCode: null },
    { tenant: 'acme', name: 'refused', version: 3, models: null, errorCode: 'model.credential' },
    { tenant: 'beta', name: 'away', version: 3, models: null, errorCode: 'model.unavailable' },
  ];
  await waitFor(async () => JSON.stringify(await rows()) === JSON.stringify(expected), { what: 'all answers to be stored' });
  expect(await database.query(allOutages)).toEqual([out, { tenant: 'beta', provider: '-', model: 'm' }]);
});
