import { afterEach, describe, expect, test } from 'vitest';
import { readSettings } from '#libs/config';
import { processSettings } from '#libs/process';
import { doorSettings, httpOptions, workerHttpOptions } from './service.settings.js';
import { start } from './start.js';
import type { RunningService } from './start.js';

let service: RunningService | undefined;
afterEach(() => service?.stop());

const run = async (ports: { port: number; operationsPort?: number }): Promise<RunningService> =>
  (service = await start({ service: 'test', host: '127.0.0.1', modules: [], ...ports }));
const statusAt = async (base: string, path: string): Promise<number> => (await fetch(base + path)).status;
const paths = ['/healthz', '/readyz', '/metrics'];

test('without a port of their own, operations are on the port of the doors', async () => {
  const { url, operationsUrl } = await run({ port: 0 });
  expect(operationsUrl).toBe(url);
  for (const path of paths) expect(await statusAt(url, path)).toBe(200);
});

describe('operations on a port of their own', () => {
  test('are answered there and not on the port of the doors', async () => {
    const { url, operationsUrl } = await run({ port: 0, operationsPort: 0 });
    for (const path of paths) expect([path, await statusAt(operationsUrl, path), await statusAt(url, path)]).toEqual([path, 200, 404]);
  });

  test('have nothing beside them: every other address is a problem with status 404', async () => {
    const { operationsUrl } = await run({ port: 0, operationsPort: 0 });
    const response = await fetch(`${operationsUrl}/graphql`, { method: 'POST', body: '{}' });
    expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
    expect(await response.json()).toMatchObject({ code: 'request.notFound' });
  });

  test('end with the process', async () => {
    const { operationsUrl } = await run({ port: 0, operationsPort: 0 });
    expect(await statusAt(operationsUrl, '/healthz')).toBe(200); // leaves a connection that is kept alive
    await service!.stop();
    service = undefined;
    await expect(fetch(`${operationsUrl}/healthz`)).rejects.toThrow('fetch failed');
  });
});

describe('the settings', () => {
  const settings = (environment: Record<string, string>) => readSettings('demo', { ...doorSettings, ...processSettings }, environment);

  test('refuse one port for both', () => {
    expect(() => httpOptions(settings({ PORT: '9090', OPERATIONS_PORT: '9090' }))).toThrow(
      'OPERATIONS_PORT and PORT are both 9090; choose two ports, or leave OPERATIONS_PORT out to have both on one',
    );
  });

  test('refuse a delay of the stop that leaves no time for what is under way', () => {
    expect(() => httpOptions(settings({ STOP_DELAY_MS: '6000', STOP_TIMEOUT_MS: '11000' }))).toThrow(
      'STOP_DELAY_MS (6000) is more than half of STOP_TIMEOUT_MS (11000); the other half is for what is under way: raise STOP_TIMEOUT_MS',
    );
    expect(httpOptions(settings({ STOP_DELAY_MS: '6000', STOP_TIMEOUT_MS: '12000' })).stopDelayMs).toBe(6_000);
  });

  test('give a service without a door one port: that of operations, else PORT', () => {
    expect(workerHttpOptions(settings({ PORT: '9090', OPERATIONS_PORT: '9090' }))).toMatchObject({ port: 9090, isWorker: true });
    expect(workerHttpOptions(settings({ OPERATIONS_PORT: '9191' }))).toMatchObject({ port: 9191, isWorker: true });
    expect(workerHttpOptions(settings({ PORT: '8081' }))).toMatchObject({ port: 8081, isWorker: true });
  });
});
