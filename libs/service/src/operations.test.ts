import { beforeEach, describe, expect, test } from 'vitest';
import { Operations } from './operations.js';
import { Readiness } from './readiness.js';

const key = 'key-of-operations-0123456789abcdef';
let readiness: Readiness;
beforeEach(() => {
  readiness = new Readiness();
  readiness.register('log', () => {
    throw new Error('broker at 10.0.0.7:9092 is away');
  });
});

const ask = async (operations: Operations, path: string, authorization?: string) => operations.at(path)!({ authorization });

test('without a key of operations everybody sees everything', async () => {
  const operations = new Operations(readiness);
  expect((await ask(operations, '/readyz')).text).toContain('10.0.0.7');
  expect((await ask(operations, '/metrics')).status).toBe(200);
});

test('metrics come as OpenMetrics to a scraper that asks for it, else as text', async () => {
  const metrics = new Operations(readiness).at('/metrics')!;
  const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
  expect((await metrics({})).contentType).toMatch(/^text\/plain/);
  expect(await metrics({ accept })).toMatchObject({
    contentType: expect.stringMatching(/^application\/openmetrics-text/),
    text: expect.stringMatching(/# EOF\n$/),
  });
});

describe('with a key of operations', () => {
  const operations = () => new Operations(readiness, key);

  test('probes learn health and readiness, and no reason', async () => {
    expect(await ask(operations(), '/healthz')).toMatchObject({ status: 200 });
    expect(await ask(operations(), '/readyz')).toMatchObject({ status: 503, text: '{"status":"unavailable"}' });
    expect(await ask(operations(), '/readyz', 'Bearer wrong')).toMatchObject({ status: 503, text: '{"status":"unavailable"}' });
  });

  test('metrics are refused without it', async () => {
    await expect(ask(operations(), '/metrics')).rejects.toMatchObject({ code: 'credential.missing' });
    await expect(ask(operations(), '/metrics', 'Bearer wrong')).rejects.toMatchObject({ code: 'credential.invalid' });
  });

  test('its holder sees everything', async () => {
    expect((await ask(operations(), '/readyz', `Bearer ${key}`)).text).toContain('10.0.0.7');
    expect((await ask(operations(), '/metrics', `bearer ${key}`)).status).toBe(200);
  });
});
