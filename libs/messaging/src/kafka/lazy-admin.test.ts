import type { Admin, Kafka } from 'kafkajs';
import { expect, test } from 'vitest';
import { LazyAdmin } from './lazy-admin.js';

/** Counts the connections that are open. */
function log() {
  const open = new Set<Admin>();
  const admin = (): Admin => {
    const made = { connect: async () => void open.add(made), disconnect: async () => void open.delete(made) } as unknown as Admin;
    return made;
  };
  return { kafka: { admin } as unknown as Kafka, open };
}

test('all calls share one connection, which is made for the first of them', async () => {
  const { kafka, open } = log();
  const admin = new LazyAdmin(kafka);
  expect(open.size).toBe(0);
  const [one, other] = await Promise.all([admin.use(async (used) => used), admin.use(async (used) => used)]);
  expect(other).toBe(one);
  expect(open.size).toBe(1);
  await admin.close();
  expect(open.size).toBe(0);
});

test('a call that fails cuts no other off: the next call has a new connection, and the old one closes when its calls have ended', async () => {
  const { kafka, open } = log();
  const admin = new LazyAdmin(kafka);
  const going = Promise.withResolvers<void>();
  const slow = admin.use(async (used) => {
    await going.promise;
    return open.has(used);
  });
  await expect(admin.use(() => Promise.reject(new Error('no such topic')))).rejects.toThrow('no such topic');
  await admin.use(async () => expect(open.size).toBe(2));
  going.resolve();
  expect(await slow).toBe(true);
  await expect.poll(() => open.size).toBe(1);
  await admin.close();
});
