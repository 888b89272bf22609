import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { ModelProviderService } from './model-provider.service.js';
import { ModelProviderStore } from './model-provider.store.js';

let fresh: FreshDatabase;
let database: Database;
let store: ModelProviderStore;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  store = new ModelProviderStore(database);
});
afterEach(() => database.query(deleteAll));
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const deleteAll = statement('test.modelProvider.deleteAll', 'DELETE FROM model_provider');
const all = statement(
  'test.modelProvider.all',
  `SELECT address, models, error_code AS "errorCode", error_message AS "errorMessage", listed_at IS NOT NULL AS "hasListed", listed_at = asked_at AS "isLast",
     due_at - asked_at AS "againIn", used_at > clock_timestamp() - interval '5 minutes' AS "isUsed"
   FROM model_provider ORDER BY address`,
);
const makeDue = statement('test.modelProvider.makeDue', `UPDATE model_provider SET due_at = clock_timestamp() - interval '1 ms'`);
const rows = (): Promise<Record<string, unknown>[]> => database.query(all);

describe('what is stored of a provider', () => {
  const address = 'https://one.example/v1/chat/completions';
  const failure = { code: 'model.unavailable', message: 'a\u0000way' } as const;

  test('is the last answer; a failure keeps the models, and the next answer forgets the failure', async () => {
    await store.save(address, { models: ['one', 'two'] }, 1_000);
    expect(await rows()).toMatchObject([{ models: ['one', 'two'], errorCode: null, hasListed: true, isLast: true }]);
    await store.save(address, { failure }, 1_000);
    expect(await rows()).toMatchObject([
      { models: ['one', 'two'], errorCode: 'model.unavailable', errorMessage: 'a\ufffdway', isLast: false },
    ]);
    await store.save(address, { models: [] }, 1_000);
    expect(await rows()).toMatchObject([{ models: [], errorCode: null, errorMessage: null, isLast: true }]);
  });

  test('has no models while the provider never answered', async () => {
    await store.save(address, { failure }, 1_000);
    expect(await rows()).toMatchObject([{ models: null, hasListed: false, errorCode: 'model.unavailable' }]);
  });

  test('is asked for anew by one of many processes, when it is due', async () => {
    expect(await store.takeTurn(address, 60_000), 'nothing is stored yet').toBe(true);
    await store.save(address, { models: ['one'] }, 60_000);
    const turns = (): Promise<boolean[]> => Promise.all(Array.from({ length: 10 }, () => store.takeTurn(address, 60_000)));
    expect(await turns()).not.toContain(true);
    await database.query(makeDue);
    expect((await turns()).filter((isMine) => isMine)).toHaveLength(1);
  });

  test('counts as out of use once its process leaves, until another one says that it calls it', async () => {
    await store.save(address, { models: ['one'] }, 60_000);
    await store.leave(address);
    expect(await rows()).toMatchObject([{ isUsed: false }]);
    await store.takeTurn(address, 60_000);
    expect(await rows()).toMatchObject([{ isUsed: true }]);
  });
});

describe('a process', () => {
  let server: Server;
  let listStatus: number;
  let models: object[];
  let probeStatus: number;
  let requests: number;
  beforeEach(async () => {
    requests = 0;
    [probeStatus, listStatus, models] = [400, 200, [{ id: 'one' }]];
    server = createServer((request, response) => {
      request.resume();
      requests += 1;
      const isList = request.method === 'GET';
      response.writeHead(isList ? listStatus : probeStatus, { 'content-type': 'application/json' });
      response.end(JSON.stringify(isList && listStatus === 200 ? { data: models } : { error: { message: 'scripted' } }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  /** Starts a process, and stops it at the end of the test. */
  async function startProcess(): Promise<ModelProviderService> {
    const baseUrl = `http://user:password@127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const gateway = new ModelGateway({ provider: new OpenAiProvider({ baseUrl, apiKey: 'key' }) });
    const service = new ModelProviderService(gateway, store);
    service.onApplicationBootstrap();
    onTestFinished(async () => {
      await service.beforeApplicationShutdown();
      await gateway.close();
    });
    return service;
  }
  const stored = async (expected: object): Promise<void> => {
    await waitFor(async () => (await rows()).length > 0, { what: 'the answer to be stored' });
    expect(await rows()).toMatchObject([expected]);
  };

  test('asks at its start, and stores the models under the address without its credentials', async () => {
    await startProcess();
    await stored({ address: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1\/chat\/completions$/) as string, models: ['one'] });
  });

  test('stores that the provider lists nothing', async () => {
    listStatus = 404;
    await startProcess();
    await stored({ models: [], errorCode: null });
  });

  test('stores why the provider cannot be asked', async () => {
    probeStatus = 401;
    await startProcess();
    await stored({ models: null, errorCode: 'model.credential', errorMessage: expect.stringContaining('401') as string });
  });

  test('asks again if the provider is not there yet, and stores only what came of it', async () => {
    probeStatus = 503;
    await startProcess();
    await waitFor(() => requests > 0, { what: 'the first question' });
    probeStatus = 400;
    await stored({ models: ['one'], errorCode: null });
  });

  test('asks again at each start, because its key or the models may be others', async () => {
    const first = await startProcess();
    await stored({ models: ['one'] });
    await first.beforeApplicationShutdown();
    models = [{ id: 'two' }];
    await startProcess();
    await waitFor(async () => JSON.stringify((await rows())[0]?.['models']) === '["two"]', { what: 'the new models to be stored' });
  });
});
