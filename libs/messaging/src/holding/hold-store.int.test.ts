import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HoldTable } from '#libs/holds';
import { Database, statement } from '#libs/persistence';
import { HoldsInMemory, freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import type { HoldId, HoldStore } from './hold-store.js';
import type { LogPosition, LoggedRecord } from '../logged-record.js';

/** One suite for both hold stores: Postgres, and the one in memory that other tests use. */

let fresh: FreshDatabase;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

interface Subject {
  store: HoldStore & { requestRetry(tenant: string, deadLetterId: string): Promise<void> };
  resolve: (deadLetterId: string, resolution: 'skipped' | 'replayed', kind?: string) => Promise<unknown>;
}

const settle = statement(
  'test.settle',
  `INSERT INTO dead_letter (tenant_id, id, kind, customer, code, message, resolved_at, resolution) VALUES ('acme', $1, $3, 'c', 'x', 'x', now(), $2)
   ON CONFLICT (tenant_id, id) DO UPDATE SET resolved_at = now(), resolution = $2`,
);
const open = statement(
  'test.open',
  `INSERT INTO dead_letter (tenant_id, id, kind, customer, code, message) VALUES ('acme', $1, 'record', 'c', 'x', 'x')`,
);
const resolutionOf = statement('test.resolution', 'SELECT resolution FROM dead_letter WHERE id = $1 AND resolved_at IS NOT NULL');

const subjects: { title: string; subject: () => Subject }[] = [
  {
    title: 'in memory',
    subject: () => {
      const store = new HoldsInMemory();
      return { store, resolve: async (id, resolution) => store.resolve(id, resolution) };
    },
  },
  {
    title: 'in Postgres',
    subject: () => ({
      store: new HoldTable(database),
      resolve: (id, resolution, kind = 'record') => database.query(settle, [id, resolution, kind]),
    }),
  },
];

describe.each(subjects)('a store of held records $title', ({ subject }) => {
  const group = uniqueName('group');
  const topic = uniqueName('topic');
  const record = (key: string, offset: number): LoggedRecord => ({
    topic,
    partition: 3,
    offset,
    logId: 'log',
    timestampMs: 1_700_000_000_123,
    key: Buffer.from(key),
    value: Buffer.from([0xff, 0x00, offset]),
    headers: { mr_schema: Buffer.from('number.noted.v1'), twice: [Buffer.from('a'), Buffer.from('b')] },
  });
  const at = (offset: number): LogPosition => ({ logId: 'log', offset });
  const holdId = (key: string): HoldId => ({ group, topic, partition: 3, key: Buffer.from(key) });
  const owned = [{ topic, partition: 3 }];
  const keysOf = (holds: readonly HoldId[]): string[] => holds.map(({ key }) => key.toString()).toSorted();
  const newKey = () => `acme/${uniqueName('customer')}`;
  const newLetter = () => uniqueName('dlq_');

  test('gives back what it holds as it stood in the log, in the order of the log', async () => {
    const { store } = subject();
    const key = newKey();
    await store.hold(group, record(key, 5), { deadLetterId: newLetter() });
    const kept = await Promise.all([9, 7, 8].map((offset) => store.keep(group, record(key, offset))));
    expect(kept).toEqual([true, true, true]);
    const [first, ...others] = await store.next(holdId(key), 10);
    expect(others.map(({ offset }) => offset)).toEqual([7, 8, 9]);
    expect(first).toEqual(record(key, 5));
    expect((await store.next(holdId(key), 2)).map(({ offset }) => offset)).toEqual([5, 7]);
  });

  test('keeps a record that comes again once, also one without a value or headers', async () => {
    const { store } = subject();
    const key = newKey();
    await store.hold(group, record(key, 5), { deadLetterId: newLetter() });
    const bare = { ...record(key, 6), value: null, headers: undefined };
    expect([await store.keep(group, bare), await store.keep(group, bare), await store.keep(group, record(key, 5))]).toEqual([
      true,
      true,
      true,
    ]);
    expect((await store.next(holdId(key), 10)).map(({ offset, value }) => [offset, value === null])).toEqual([
      [5, false],
      [6, true],
    ]);
  });

  test('keeps nothing of a customer that is not held, beside those that are', async () => {
    const { store } = subject();
    const [held, free] = [newKey(), newKey()];
    await store.hold(group, record(held, 5), { deadLetterId: newLetter() });
    expect(await Promise.all([store.keep(group, record(free, 6)), store.keep(group, record(held, 7))])).toEqual([false, true]);
    expect(await store.next(holdId(free), 10)).toEqual([]);
  });

  test('tells customers, groups and partitions apart', async () => {
    const { store } = subject();
    const key = newKey();
    await store.hold(group, record(key, 5), { deadLetterId: newLetter() });
    expect(await store.keep('another', record(key, 6))).toBe(false);
    expect(await store.keep(group, { ...record(key, 6), partition: 4 })).toBe(false);
    expect(await store.keep(group, { ...record(key, 6), topic: 'another' })).toBe(false);
    expect(keysOf(await store.holdsOf(group, owned))).toContain(key);
    expect(await store.holdsOf('another', owned)).toEqual([]);
    expect(await store.holdsOf(group, [{ topic, partition: 4 }])).toEqual([]);
    expect(await store.holdsOf(group, [])).toEqual([]);
  });

  test('releases a hold when its dead letter is resolved, and not before', async () => {
    const { store, resolve } = subject();
    const [key, letter] = [newKey(), newLetter()];
    const hold = holdId(key);
    const isReleasable = async () => keysOf(await store.releasable(group, owned)).includes(key);
    await store.hold(group, record(key, 5), { deadLetterId: letter });
    expect(await isReleasable()).toBe(false);
    await resolve(letter, 'replayed', 'run');
    expect((await store.releasable(group, owned)).find((one) => one.key.toString() === key)).toEqual({
      ...hold,
      cause: { deadLetterId: letter },
      drop: null,
    });
  });

  test('says which record an operator gave up, and holds it no more when the log brings it again', async () => {
    const { store, resolve } = subject();
    const [key, letter] = [newKey(), newLetter()];
    await store.hold(group, record(key, 5), { deadLetterId: letter });
    await resolve(letter, 'skipped');
    expect((await store.releasable(group, owned)).find((one) => one.key.toString() === key)).toMatchObject({
      drop: { logId: 'log', offset: 5 },
    });
    await store.finished(holdId(key), at(5));
    expect(await store.close(holdId(key))).toBe(true);
    expect(await store.hold(group, record(key, 5), { deadLetterId: letter })).toBe(false);
    expect(keysOf(await store.holdsOf(group, owned))).not.toContain(key);
  });

  test('releases on a retry, which is over when the record fails again and resolves the dead letter when it does not', async () => {
    const { store } = subject();
    const [key, letter] = [newKey(), newLetter()];
    const hold = holdId(key);
    if (store instanceof HoldTable) await database.query(open, [letter]);
    const isReleasable = async () => keysOf(await store.releasable(group, owned)).includes(key);
    const resolution = async () =>
      store instanceof HoldsInMemory
        ? store.resolutionOf(letter)
        : (await database.query<{ resolution: string }>(resolutionOf, [letter]))[0]?.resolution;
    await store.hold(group, record(key, 5), { deadLetterId: letter });
    await store.requestRetry('acme', letter);
    expect(await isReleasable()).toBe(true);
    await store.hold(group, record(key, 5), { deadLetterId: letter });
    expect(await isReleasable()).toBe(false);
    await store.requestRetry('acme', letter);
    await store.keep(group, record(key, 6));
    await store.finished(hold, at(6));
    expect(await resolution()).toBeUndefined();
    await store.finished(hold, at(5));
    expect(await resolution()).toBe('retried');
  });

  test('an overflow may end at once, and a poison record on the way takes its place', async () => {
    const { store } = subject();
    const key = newKey();
    const found = async () => (await store.releasable(group, owned)).find((one) => one.key.toString() === key);
    await store.hold(group, record(key, 5), 'overflow');
    expect(await found()).toMatchObject({ cause: 'overflow', drop: null });
    await store.hold(group, record(key, 5), { deadLetterId: newLetter() });
    await store.hold(group, record(key, 6), 'overflow');
    expect(await found()).toBeUndefined();
    expect(await store.next(holdId(key), 10)).toHaveLength(2);
  });

  test('a hold ends only when nothing is held, however close to the end something is kept', async () => {
    const { store } = subject();
    for (let round = 0; round < 30; round += 1) {
      const key = newKey();
      const hold = holdId(key);
      await store.hold(group, record(key, 5), { deadLetterId: newLetter() });
      await store.finished(hold, at(5));
      const [closed, kept] = await Promise.all([store.close(hold), store.keep(group, record(key, 6))]);
      expect(kept).toBe(!closed);
      expect(await store.next(hold, 10)).toHaveLength(kept ? 1 : 0);
    }
  });

  test('records of a log that was replaced and of the one in its place are all kept, the older ones first', async () => {
    const { store, resolve } = subject();
    const [key, letter] = [newKey(), newLetter()];
    const anew = (offset: number): LoggedRecord => ({ ...record(key, offset), logId: 'anew' });
    await store.hold(group, record(key, 5), { deadLetterId: newLetter() });
    await store.keep(group, record(key, 6));
    for (const offset of [0, 5, 6]) expect(await store.keep(group, anew(offset))).toBe(true);
    expect((await store.next(holdId(key), 10)).map(({ logId, offset }) => [logId, offset])).toEqual([
      ['log', 5],
      ['log', 6],
      ['anew', 0],
      ['anew', 5],
      ['anew', 6],
    ]);
    await store.hold(group, anew(5), { deadLetterId: letter });
    await resolve(letter, 'skipped');
    const found = (await store.releasable(group, owned)).find((one) => one.key.toString() === key)!;
    expect(found.drop).toEqual({ logId: 'anew', offset: 5 });
    await store.finished(found, found.drop!);
    expect((await store.next(holdId(key), 10)).map(({ logId, offset }) => [logId, offset])).toEqual([
      ['log', 5],
      ['log', 6],
      ['anew', 0],
      ['anew', 6],
    ]);
  });
});
