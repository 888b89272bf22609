import { randomBytes } from 'node:crypto';
import { createClient } from '@redis/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { hasRedis, startRedis, uniqueName, waitFor } from '#libs/testing';
import type { RedisServer } from '#libs/testing';
import { RedisLink } from './redis-link.js';
import { SharedOutputs } from './shared-outputs.js';

describe.runIf(hasRedis())('outputs over Redis', () => {
  let redis: RedisServer;
  let admin: ReturnType<typeof createClient>;
  const links: RedisLink[] = [];
  const secretKey = randomBytes(32);
  let tenant: string;
  beforeAll(async () => {
    redis = await startRedis();
    admin = createClient({ url: redis.url });
    admin.on('error', () => undefined);
    await admin.connect();
  });
  afterAll(async () => {
    admin.destroy();
    await redis.stop();
  });
  beforeEach(() => {
    tenant = uniqueName('tenant');
  });
  afterEach(() => Promise.all(links.splice(0).map((link) => link.close())));

  /** The outputs as one more process sees them. */
  function outputs(box = new SecretBox(secretKey), limits?: ConstructorParameters<typeof SharedOutputs>[3]): SharedOutputs {
    const link = new RedisLink({ url: redis.url });
    links.push(link);
    return new SharedOutputs(link, box, 'test', limits);
  }
  const keysOf = async (name: string): Promise<string[]> => (await admin.keys(`millrace:output:{${name}}:*`)).toSorted();

  test('that one process stored are found by the others, with their age', async () => {
    await outputs().put(tenant, 'k', { mood: 'good' }, 60_000);
    const found = await outputs().get(tenant, 'k');
    expect(found?.output).toEqual({ mood: 'good' });
    expect(found?.ageMs).toBeGreaterThanOrEqual(0);
    expect(found?.ageMs).toBeLessThan(60_000);
    expect(await outputs().get(tenant, 'other')).toBeUndefined();
  });

  test('are found by no other tenant, also not if somebody moves them in Redis', async () => {
    const other = uniqueName('other');
    await outputs().put(tenant, 'k', 'of the tenant', 60_000);
    expect(await outputs().get(other, 'k')).toBeUndefined();
    await outputs().put(other, 'k', 'of the other', 60_000);
    const [[mine], [theirs]] = [await keysOf(tenant), await keysOf(other)];
    await admin.set(theirs!, (await admin.get(mine!))!, { PX: 60_000 });
    expect(await outputs().get(other, 'k')).toBeUndefined();
  });

  test('cannot be read in Redis, nor can what was asked be guessed from its keys', async () => {
    await outputs().put(tenant, 'k', 'a confidential answer', 60_000);
    const [name] = await keysOf(tenant);
    expect(await admin.get(name!)).not.toContain('confidential');
    await outputs(new SecretBox(randomBytes(32))).put(tenant, 'k', 'of another installation', 60_000);
    expect(await keysOf(tenant), 'another secret gives another name').toHaveLength(2);
    expect((await outputs().get(tenant, 'k'))?.output).toBe('a confidential answer');
  });

  test('that were altered, or sealed with a key that is gone, are not found', async () => {
    await outputs().put(tenant, 'k', 'an answer', 60_000);
    const [name] = await keysOf(tenant);
    const sealed = (await admin.get(name!))!;
    for (const text of [`${sealed.slice(0, -4)}AAAA`, 'no sealed text', sealed.replace(/\.[0-9a-f]{8}\./, '.00000000.')]) {
      await admin.set(name!, text, { PX: 60_000 });
      expect(await outputs().get(tenant, 'k')).toBeUndefined();
    }
  });

  test('end by themselves, after seven days at most', async () => {
    await outputs().put(tenant, 'k', 1, 30 * 24 * 3_600_000);
    const names = [...(await keysOf(tenant)), ...(await admin.keys(`millrace:outputs:{${tenant}}:*`))];
    expect(names).toHaveLength(3);
    for (const name of names) {
      const leftMs = await admin.pTTL(name);
      expect(leftMs).toBeGreaterThan(0);
      expect(leftMs).toBeLessThanOrEqual(7 * 24 * 3_600_000);
    }
  });

  test('of one tenant take up no more than their limit: those that end first go first', async () => {
    const small = outputs(undefined, { longestOutput: 1_000, bytesOfTenant: 2_000 });
    const other = uniqueName('other');
    await small.put(other, 'k', 'of the other', 1_000);
    for (const [at, key] of ['a', 'b', 'c', 'd', 'e', 'f'].entries()) await small.put(tenant, key, 'x'.repeat(100), 100_000 - at * 1_000);
    const left: string[] = [];
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) if ((await small.get(tenant, key)) !== undefined) left.push(key);
    expect(left).toContain('a');
    expect(left).toContain('f');
    expect(left).not.toContain('e');
    expect(left.length).toBeLessThan(6);
    expect(await keysOf(tenant)).toHaveLength(left.length);
    expect(await keysOf(other), 'no other tenant loses one').toHaveLength(1);
  });

  test('that are replaced or have ended count no more', async () => {
    const small = outputs(undefined, { longestOutput: 1_000, bytesOfTenant: 1_000 });
    await small.put(tenant, 'kept', 'x', 60_000);
    for (let time = 0; time < 20; time += 1) await small.put(tenant, 'again', 'x', 60_000);
    await small.put(tenant, 'short', 'x', 1);
    await waitFor(async () => (await keysOf(tenant)).length === 2, { what: 'the output to end' });
    await small.put(tenant, 'again', 'x', 60_000);
    expect((await small.get(tenant, 'kept'))?.output).toBe('x');
    const sizes = await admin.hGetAll(`millrace:outputs:{${tenant}}:test:sizes`);
    const { '': sum, ...each } = sizes;
    expect(Number(sum)).toBe(Object.values(each).reduce((total, size) => total + Number(size), 0));
    expect(Object.keys(each)).toHaveLength(2);
  });

  test('that are too large stay where they are', async () => {
    await outputs().put(tenant, 'k', 'x'.repeat(200_000), 60_000);
    expect(await keysOf(tenant)).toEqual([]);
  });

  describe('that is away', () => {
    test('are not found, and nobody waits: a pause keeps one caller for 50 ms, and the next ones not at all', async () => {
      const one = outputs();
      await one.put(tenant, 'k', 1, 60_000);
      redis.pause();
      try {
        const answers = await Promise.all([one.get(tenant, 'k'), one.put(tenant, 'k', 2, 60_000)]);
        expect(answers).toEqual([undefined, undefined]);
        let isDone = false;
        const next = one.get(tenant, 'k').then(() => (isDone = true));
        await Promise.resolve();
        await new Promise((resolve) => setImmediate(resolve));
        expect(isDone, 'Redis was not asked').toBe(true);
        await next;
      } finally {
        redis.resume();
      }
    });

    test('are not found if it never was there', async () => {
      const link = new RedisLink({ url: 'redis://127.0.0.1:1' });
      links.push(link);
      const alone = new SharedOutputs(link, new SecretBox(secretKey), 'test');
      await alone.put(tenant, 'k', 1, 60_000);
      expect(await alone.get(tenant, 'k')).toBeUndefined();
    });
  });
});
