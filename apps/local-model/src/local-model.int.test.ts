import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { start } from '#libs/service';
import type { RunningService } from '#libs/service';
import { LocalModelModule } from './local-model.module.js';

const open = { apiKey: undefined, requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, faults: true };
const started: RunningService[] = [];

async function startWith(options: Partial<typeof open>): Promise<string> {
  const modules = [LocalModelModule.register({ ...open, ...options })];
  const service = await start({ service: 'local-model', host: '127.0.0.1', port: 0, modules });
  started.push(service);
  return service.url;
}
afterAll(() => Promise.all(started.map((service) => service.stop())));

async function ask(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/local-model/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'local/rules-1', messages: [{ role: 'user', content: 'My parcel is late.' }] }),
  });
}

describe('rate limits', () => {
  it('stand in every answer, and end in a 429 that says when to come back', async () => {
    const url = await startWith({ requestsPerMinute: 2 });
    const first = await ask(url);
    expect(first.headers.get('x-ratelimit-limit-requests')).toBe('2');
    expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('1');
    expect(first.headers.get('x-ratelimit-reset-tokens')).toMatch(/^\d+(?:ms|s)/);
    await ask(url);
    const refused = await ask(url);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.headers.get('x-request-id')).toMatch(/^req_/);
    expect(await refused.json()).toMatchObject({ error: { type: 'rate_limit_exceeded', code: 'rate_limit_exceeded' } });
  });
});

describe('faults', () => {
  let url: string;
  const faults = (method: string, body?: unknown) => {
    return fetch(`${url}/local-model/faults`, {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
  };
  beforeAll(async () => {
    url = await startWith({});
  });
  afterEach(() => faults('DELETE'));

  it('are scripted, counted down and cleared', async () => {
    const added = await faults('POST', [{ match: { contains: 'parcel' }, times: 2, fault: 'status', status: 503, retryAfterSeconds: 7 }]);
    expect(added.status).toBe(200);
    const struck = await ask(url);
    expect([struck.status, struck.headers.get('retry-after')]).toEqual([503, '7']);
    expect(await (await faults('GET')).json()).toEqual([
      { match: { contains: 'parcel' }, times: 1, fault: 'status', status: 503, retryAfterSeconds: 7 },
    ]);
    expect((await faults('DELETE')).status).toBe(204);
    expect((await ask(url)).status).toBe(200);
  });

  it('can be asked for by the request itself', async () => {
    expect((await ask(url, { 'x-local-model-fault': '{"fault":"status","status":429,"code":"insufficient_quota"}' })).status).toBe(429);
    const broken = (await (await ask(url, { 'x-local-model-fault': 'schemaBreaking' })).json()) as {
      choices: { message: { content: string } }[];
    };
    expect(JSON.parse(broken.choices[0]!.message.content)).toHaveProperty('unexpected');
    expect((await ask(url, { 'x-local-model-fault': 'status' })).status).toBe(400);
  });

  it('cut an answer in the middle', async () => {
    await expect((async () => (await ask(url, { 'x-local-model-fault': 'cutStream' })).text())()).rejects.toThrow(
      /terminated|fetch failed/,
    );
  });

  it('are refused with the field at fault where the script is none', async () => {
    const refused = await faults('POST', [{ fault: 'status', status: 12 }]);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ code: 'request.invalid', field: '0.status' });
  });

  it('do not exist where they are turned off', async () => {
    const other = await startWith({ faults: false });
    expect((await fetch(`${other}/local-model/faults`)).status).toBe(404);
    expect((await ask(other, { 'x-local-model-fault': 'hang' })).status).toBe(200);
  });

  it('do not keep the server from stopping', async () => {
    const service = await start({ service: 'local-model', host: '127.0.0.1', port: 0, modules: [LocalModelModule.register(open)] });
    const hanging = ask(service.url, { 'x-local-model-fault': 'hang' });
    await ask(service.url); // the hanging request is in by then
    await Promise.all([service.stop(), expect(hanging).rejects.toThrow('fetch failed')]);
  });
});
