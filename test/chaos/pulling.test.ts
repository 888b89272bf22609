import { expect, test } from 'vitest';
import type { EventOnLog } from './log-reader.js';
import { EntryList } from './entry-list.js';
import { checkEntries } from './pulling.js';

const stored = (...ids: number[]) => ids.map((id) => ({ id: `entry-${id}`, completedRuns: 1 }));
const onLog = (...ids: number[]): EventOnLog[] =>
  ids.map((id, offset) => {
    const customer = `reader-${id % 5}`;
    return {
      topic: 'events.normal',
      partition: 0,
      offset,
      key: customer,
      eventId: `evt_${id}`,
      customer,
      lane: 'normal',
      ticket: `entry-${id}`,
    };
  });

test('a list grows by the clock, is read in pages, and ends', () => {
  let now = 1_000;
  const list = new EntryList(() => now);
  expect([list.length, list.pageAfter(0)]).toEqual([0, { entries: [], next: null }]);
  list.begin();
  now += 50 * 7;
  expect(list.length).toBe(7);
  const first = list.pageAfter(0);
  expect([first.entries.length, first.next]).toEqual([5, '5']);
  expect(list.pageAfter(Number(first.next))).toEqual({
    entries: [
      { id: 'entry-6', sequence: 6, customer: 'reader-1' },
      { id: 'entry-7', sequence: 7, customer: 'reader-2' },
    ],
    next: null,
  });
  expect(list.pageAfter(7)).toEqual({ entries: [], next: null });
  list.end();
  now += 10_000;
  expect(list.length).toBe(7);
});

test('entries that are each one event with one run, in order, are right; a page that was appended twice, too', () => {
  expect(
    checkEntries(12, stored(...Array.from({ length: 12 }, (_, at) => at + 1)), onLog(1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9, 10, 11, 12)),
  ).toEqual([]);
});

test('an entry that is missing, twice, unfinished, invented or late is found', () => {
  expect(checkEntries(3, stored(1, 3), [])).toMatchObject([{ kind: 'lost', ticket: 'entry-2' }]);
  expect(checkEntries(1, stored(1, 1), [])).toMatchObject([{ kind: 'second effect', ticket: 'entry-1' }]);
  expect(checkEntries(1, [{ id: 'entry-1', completedRuns: 0 }], [])).toMatchObject([{ kind: 'lost', ticket: 'entry-1' }]);
  expect(checkEntries(1, [{ id: 'entry-1', completedRuns: 2 }], [])).toMatchObject([{ kind: 'second effect', ticket: 'entry-1' }]);
  expect(checkEntries(1, stored(1, 2), [])).toMatchObject([{ kind: 'phantom', ticket: 'entry-2' }]);
  expect(checkEntries(0, [], onLog(1, 7, 2, 6))).toMatchObject([{ kind: 'order', ticket: 'entry-2' }]);
});
