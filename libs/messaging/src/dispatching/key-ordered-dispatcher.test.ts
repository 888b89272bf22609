import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyOrderedDispatcher } from './key-ordered-dispatcher.js';
import type { DispatchResult, DispatcherOptions } from './key-ordered-dispatcher.js';

interface Item {
  key: string;
  n: number;
  bytes?: number;
}

interface ItemInFlight {
  item: Item;
  end: (result: DispatchResult) => void;
}

/** A dispatcher whose items end, and whose retries are due, when the test says so. */
function byHand(concurrency: number, more: Partial<DispatcherOptions<Item>> = {}) {
  const running: ItemInFlight[] = [];
  const retries: (() => void)[] = [];
  const started: Item[] = [];
  const dispatcher = new KeyOrderedDispatcher<Item>({
    concurrency,
    handle: (item) => {
      started.push(item);
      return new Promise((end) => running.push({ item, end }));
    },
    schedule: (work) => {
      retries.push(work);
      return () => retries.splice(retries.indexOf(work), 1);
    },
    ...more,
  });
  const end = async (at: number, result: DispatchResult = 'finished'): Promise<Item> => {
    const [{ item, end: settle }] = running.splice(at, 1) as [ItemInFlight];
    settle(result);
    await Promise.resolve();
    await Promise.resolve();
    return item;
  };
  return { dispatcher, running, retries, started, end };
}

const item = (key: string, n = 0): Item => ({ key, n });

test('items of one key run one after the other, items of others beside them', async () => {
  const { dispatcher, started, end } = byHand(10);
  const queues = dispatcher.createQueues();
  for (const each of [item('a', 1), item('a', 2), item('b', 1)]) queues.add(each.key, each);
  expect(started).toEqual([item('a', 1), item('b', 1)]);
  await end(0);
  expect(started.at(-1)).toEqual(item('a', 2));
});

test('no more run at once than the concurrency, and keys take turns', async () => {
  const { dispatcher, started, end } = byHand(1);
  const queues = dispatcher.createQueues();
  for (const each of [item('a', 1), item('a', 2), item('a', 3), item('b', 1)]) queues.add(each.key, each);
  for (let turn = 0; turn < 3; turn += 1) await end(0);
  expect(started).toEqual([item('a', 1), item('b', 1), item('a', 2), item('a', 3)]);
});

test('slow items of one tenant leave slots to the others, which get them at once', async () => {
  const { dispatcher, running, started, end } = byHand(20);
  const queues = dispatcher.createQueues();
  const add = (key: string): void => queues.add(key, item(key));
  add('other/first');
  await end(0);
  for (let n = 0; n < 100; n += 1) add(`slow/${n}`);
  expect(running).toHaveLength(16);
  for (const key of ['other/a', 'third/a', 'fourth/a', 'fifth/a']) add(key);
  expect(started.slice(-4).map(({ key }) => key)).toEqual(['other/a', 'third/a', 'fourth/a', 'fifth/a']);
  for (const _ of [1, 2, 3, 4]) await end(running.length - 1);
  expect(running).toHaveLength(16);
  await end(0);
  expect(running).toHaveLength(16); // one of the slow tenant's took the place
});

test('large items of one tenant leave memory to the others, and fill a quarter of it at most', async () => {
  const { dispatcher, running, started, end } = byHand(100, { maxBytes: 1_000, bytesOf: ({ bytes = 0 }) => bytes });
  const queues = dispatcher.createQueues();
  const add = (key: string, bytes: number): void => queues.add(key, { ...item(key), bytes });
  for (let n = 0; n < 100; n += 1) add(`large/${n}`, 100);
  expect(running).toHaveLength(3);
  for (let n = 0; n < 100; n += 1) add(`other/${n}`, 1);
  expect(running).toHaveLength(80);
  for (let n = 0; n < 100; n += 1) await end(3);
  expect(running.map(({ item: { key } }) => key)).toEqual(['large/0', 'large/1', 'large/2']);
  expect(started).toHaveLength(103);
  await end(0);
  expect(running.at(-1)!.item.key).toBe('large/3');
});

test('nothing starts beside items that fill the memory, and one that is larger than it runs alone', async () => {
  const { dispatcher, started, end } = byHand(100, { maxBytes: 100, bytesOf: ({ bytes = 0 }) => bytes });
  const queues = dispatcher.createQueues();
  for (const [key, bytes] of [
    ['a/1', 500],
    ['b/1', 1],
    ['c/1', 1],
  ] as const)
    queues.add(key, { ...item(key), bytes });
  expect(started.map(({ key }) => key)).toEqual(['a/1']);
  await end(0);
  expect(started.map(({ key }) => key)).toEqual(['a/1', 'b/1', 'c/1']);
});

test('what waits for its turn can be taken back, what is in flight cannot, and both keys go on', async () => {
  const { dispatcher, started, end } = byHand(1);
  const queues = dispatcher.createQueues();
  for (const each of [item('a', 1), item('a', 2), item('b', 1)]) queues.add(each.key, each);
  expect(queues.takeBack('a', () => true)).toEqual([item('a', 2)]);
  expect(queues.takeBack('b', () => true)).toEqual([item('b', 1)]);
  queues.add('b', item('b', 2));
  await end(0);
  expect(started).toEqual([item('a', 1), item('b', 2)]);
});

test('a tenant has others beside it as long as they had something in flight in the last ten minutes', async () => {
  let now = 0;
  const { dispatcher, end } = byHand(10, { now: () => now });
  const queues = dispatcher.createQueues();
  expect(dispatcher.hasOthers('a')).toBe(false);
  for (const key of ['a/1', 'b/1', null]) queues.add(key, item(key ?? 'none'));
  expect(['a', 'b', 'c'].map((tenant) => dispatcher.hasOthers(tenant))).toEqual([true, true, true]);
  await end(1);
  now = 600_001;
  expect(['a', 'b'].map((tenant) => dispatcher.hasOthers(tenant))).toEqual([false, true]);
});

test('a tenant that is alone has all slots', () => {
  const { dispatcher, running } = byHand(20);
  const queues = dispatcher.createQueues();
  for (let n = 0; n < 100; n += 1) queues.add(`only/${n}`, item(`only/${n}`));
  expect(running).toHaveLength(20);
});

test('an item that waits for its retry holds back its key, but no slot', async () => {
  const { dispatcher, started, retries, end } = byHand(1);
  const queues = dispatcher.createQueues();
  for (const each of [item('a', 1), item('a', 2), item('b', 1)]) queues.add(each.key, each);
  await end(0, { againInMs: 1_000 });
  expect(started.at(-1)).toEqual(item('b', 1));
  expect(queues.blockedKeys).toBe(1);
  await end(0);
  expect(started).toHaveLength(2);
  retries.shift()!();
  expect(started.at(-1)).toEqual(item('a', 1));
});

test('without a key every item runs on its own', () => {
  const { dispatcher, started } = byHand(10);
  const queues = dispatcher.createQueues();
  for (const n of [1, 2, 3]) queues.add(null, item('', n));
  expect(started).toHaveLength(3);
});

test('the same key of another partition is another key, and closing one partition leaves the other alone', async () => {
  const { dispatcher, started, end, retries } = byHand(2);
  const [lost, kept] = [dispatcher.createQueues(), dispatcher.createQueues()];
  for (const n of [1, 2, 3]) lost.add('a', item('lost', n));
  for (const n of [1, 2]) kept.add('a', item('kept', n));
  await end(0, { againInMs: 5 });
  lost.close();
  expect(retries).toHaveLength(0);
  while (dispatcher.inFlight > 0) await end(0);
  expect(started).toEqual([item('lost', 1), item('kept', 1), item('kept', 2)]);
});

test('more urgent keys go first, and one slot in five is theirs alone', async () => {
  const { dispatcher, started, end } = byHand(5);
  const [high, low] = [dispatcher.createQueues('high'), dispatcher.createQueues('low')];
  for (let n = 0; n < 6; n += 1) low.add(`slow ${n}`, item('slow', n));
  expect(started).toHaveLength(4);
  for (const n of [1, 2]) high.add(`urgent ${n}`, item('urgent', n));
  expect(started.slice(4)).toEqual([item('urgent', 1)]);
  await end(0);
  expect(started.slice(5)).toEqual([item('urgent', 2)]);
});

test('paused, it starts nothing and goes idle; resumed, it goes on', async () => {
  const { dispatcher, started, end } = byHand(1);
  const queues = dispatcher.createQueues();
  for (const n of [1, 2]) queues.add('a', item('a', n));
  dispatcher.pause();
  const idle = dispatcher.idle();
  await end(0);
  await idle;
  expect(started).toHaveLength(1);
  dispatcher.resume();
  expect(started).toHaveLength(2);
});

test('whatever ends first, fails or is added when: every key in order, never two of one, and nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      fc.infiniteStream(fc.nat()),
      async (keys, concurrency, picks) => {
        const { dispatcher, running, retries, end } = byHand(concurrency);
        const queues = dispatcher.createQueues();
        const waiting = keys.map((key, n) => item(key, n));
        const finished: Item[] = [];
        while (waiting.length + running.length + retries.length > 0) {
          const pick = picks.next().value!;
          const next = pick % 3 === 0 ? waiting.shift() : undefined;
          if (next !== undefined) queues.add(next.key, next);
          else if (pick % 5 === 1 && running.length > 0) await end(pick % running.length, { againInMs: 1 });
          else if (running.length > 0) finished.push(await end(pick % running.length));
          else retries.shift()?.();
          expect(running.length).toBeLessThanOrEqual(concurrency);
          expect(new Set(running.map((each) => each.item.key)).size).toBe(running.length);
        }
        expect(finished).toHaveLength(keys.length);
        for (const key of keys) {
          const order = finished.filter((each) => each.key === key).map(({ n }) => n);
          expect(order).toEqual(order.toSorted((a, b) => a - b));
        }
        expect(queues.openKeys).toBe(0);
        await dispatcher.idle();
      },
    ),
  );
});
