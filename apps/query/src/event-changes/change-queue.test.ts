import { expect, test, vi } from 'vitest';
import { ChangeQueue } from './change-queue.js';
import type { ChangeBatch } from './change-queue.js';
import { SubscriberTooSlow } from './event-change.errors.js';
import type { EventChangeRow } from './event-change.operations.js';

function queueOf(limits: { maxBatch?: number; mergeAbove?: number; maxKeys?: number } = {}) {
  const onEnd = vi.fn<() => void>();
  const onMerge = vi.fn<(leftOut: number) => void>();
  const keyOf = ({ event }: EventChangeRow): string => event.id;
  const overflow = (): SubscriberTooSlow => new SubscriberTooSlow(5, 'events');
  const options = { keyOf, maxBatch: 100, mergeAbove: 4, maxKeys: 5, overflow, onMerge, onEnd, ...limits };
  return { queue: new ChangeQueue<EventChangeRow>(options), onEnd, onMerge };
}
/** A change in the form `event.number`. */
function change(text: string): EventChangeRow {
  const [id, runId] = text.split('.');
  return { change: 'decided', at: new Date(0), code: null, runId, deliveryId: null, merged: 0, event: { id } } as unknown as EventChangeRow;
}
const words = (batch: ChangeBatch<EventChangeRow>) =>
  batch.map((each) => (each instanceof Error ? each.code : `${each.event.id}.${each.runId}${each.merged > 0 ? `+${each.merged}` : ''}`));
const next = async (queue: ChangeQueue<EventChangeRow>) => words(((await queue.next()) as { value: ChangeBatch<EventChangeRow> }).value);

test('a waiting reader gets a change at once, and what comes meanwhile together, in order', async () => {
  const { queue } = queueOf({ maxBatch: 2 });
  const waiting = next(queue);
  for (const text of ['a.1', 'b.1', 'a.2', 'c.1']) queue.push(change(text));
  expect(await waiting).toEqual(['a.1']);
  expect(await next(queue)).toEqual(['b.1', 'a.2']);
  expect(await next(queue)).toEqual(['c.1']);
});

test('changes of the same event are merged when too many wait, and the others keep their place', async () => {
  const { queue, onMerge, onEnd } = queueOf();
  for (const text of ['a.1', 'b.1', 'a.2', 'c.1', 'a.3']) queue.push(change(text));
  expect(onMerge).toHaveBeenCalledWith(2);
  expect(await next(queue)).toEqual(['a.3+2', 'b.1', 'c.1']);
  expect(onEnd).not.toHaveBeenCalled();
});

test('however many changes a few events have, none of the events is lost and the queue does not end', async () => {
  const { queue, onEnd } = queueOf();
  for (let n = 1; n <= 1_000; n += 1) for (const id of ['a', 'b', 'c']) queue.push(change(`${id}.${n}`));
  const batch = await next(queue);
  expect(batch.length).toBeLessThanOrEqual(8);
  for (const id of ['a', 'b', 'c']) expect(batch.findLast((text) => text.startsWith(id))).toMatch(/\.1000/);
  expect(onEnd).not.toHaveBeenCalled();
});

test('a subscriber that takes nothing while more events change than may wait is told so, and then the queue ends', async () => {
  const { queue, onEnd } = queueOf();
  for (let n = 1; n <= 20; n += 1) queue.push(change(`event${n}.1`));
  expect(await next(queue)).toEqual(['subscription.overflow']);
  expect(await queue.next()).toEqual({ value: undefined, done: true });
  expect(onEnd).toHaveBeenCalledTimes(1);
});

test('a reader that leaves ends the queue, also while it waits', async () => {
  const { queue, onEnd } = queueOf();
  const waiting = queue.next();
  await queue.return();
  expect(await waiting).toEqual({ value: undefined, done: true });
  queue.push(change('late.1'));
  expect(await queue.next()).toEqual({ value: undefined, done: true });
  expect(onEnd).toHaveBeenCalledTimes(1);
});
