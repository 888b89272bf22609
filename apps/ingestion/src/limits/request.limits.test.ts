import { describe, expect, test } from 'vitest';
import type { RequestRate } from '#libs/contracts';
import { MemoryLimitStore } from '#libs/limits';
import type { Configuration } from '#libs/persistence';
import { problemOf } from '#libs/service';
import type { Source } from '#libs/sources';
import { RequestLimits } from './request.limits.js';

function limitsWith(tenants: Readonly<Record<string, RequestRate | undefined>>) {
  let nowMs = 0;
  const configuration = { tenant: (name: string) => ({ document: { spec: { rateLimit: tenants[name] } } }) } as unknown as Configuration;
  const limits = new RequestLimits(configuration, new MemoryLimitStore(() => nowMs));
  const source = (tenant: string, name: string, rateLimit?: RequestRate): Source => ({ tenant, name, rateLimit }) as unknown as Source;
  /** The requests that are taken at once, of so many. */
  const taken = async (from: Source, requests: number): Promise<number> => {
    let count = 0;
    for (let at = 0; at < requests; at += 1) {
      count += await limits.take(from).then(
        () => 1,
        () => 0,
      );
    }
    return count;
  };
  return { limits, source, taken, pass: (ms: number) => (nowMs += ms) };
}

describe('the rate of requests', () => {
  test('is none where neither the source nor its tenant has one', async () => {
    const { limits, source } = limitsWith({});
    expect(await limits.take(source('acme', 'shop'))).toBeUndefined();
  });

  test('lets half of a minute come at once, or as many as the document says, and the others evenly', async () => {
    const { source, taken, pass } = limitsWith({});
    expect(await taken(source('acme', 'shop', { perMinute: 60 }), 100)).toBe(30);
    expect(await taken(source('acme', 'crm', { perMinute: 60, burst: 1 }), 100)).toBe(1);
    pass(10_000);
    expect(await taken(source('acme', 'shop', { perMinute: 60 }), 100)).toBe(5);
    pass(50_000);
    expect(await taken(source('acme', 'shop', { perMinute: 60 }), 100), 'so 60 in this minute').toBe(25);
  });

  test('of a source is its own, and that of a tenant is shared by its sources and by no other tenant', async () => {
    const { source, taken } = limitsWith({ acme: { perMinute: 40 } });
    expect(await taken(source('acme', 'shop', { perMinute: 20 }), 100)).toBe(10);
    expect(await taken(source('acme', 'crm'), 100), 'what the tenant has left').toBe(10);
    expect(await taken(source('globex', 'shop', { perMinute: 20 }), 100)).toBe(10);
  });

  test('is told with the refusal: which rates there are, and when to come back', async () => {
    const { limits, source, taken } = limitsWith({ acme: { perMinute: 600 } });
    const shop = source('acme', 'shop', { perMinute: 2 });
    expect(await taken(shop, 1)).toBe(1);
    const refused = await limits.take(shop).catch((error: unknown) => error);
    const { problem, headers } = problemOf(refused, { method: 'POST', route: undefined });
    expect(problem).toMatchObject({
      status: 429,
      code: 'request.limited',
      detail: expect.stringContaining('2 requests of the source and 600 requests of the tenant') as string,
    });
    expect(headers).toEqual({
      'retry-after': '60',
      'ratelimit-policy': '"source";q=2;w=60, "tenant";q=600;w=60',
      ratelimit: '"source";r=0;t=60, "tenant";r=0;t=60',
    });
  });
});
