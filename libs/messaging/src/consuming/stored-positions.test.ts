import { expect, test, vi } from 'vitest';
import type { PartitionProgress } from './owned-partitions.js';
import { StoredPositions } from './stored-positions.js';

const read: PartitionProgress = {
  topic: 't',
  partition: 0,
  logId: 'log',
  watermark: 7,
  finishedAbove: 2,
  oldestOpenMs: 1_000,
  lastReadMs: 3_000,
  logEnd: undefined,
};

function positionsOf(...progress: PartitionProgress[]) {
  const store = { save: vi.fn(async () => undefined) };
  const of = { progress };
  return { of, store, positions: new StoredPositions([{ group: { group: 'flows' }, consumer: { progress: () => of.progress } }], store) };
}

test('a position is the lowest unfinished record, with the time at which it was appended', async () => {
  const { positions, store } = positionsOf(read);
  await positions.save();
  expect(store.save).toHaveBeenCalledWith([{ group: 'flows', topic: 't', partition: 0, logId: 'log', offset: 7, appendedAtMs: 1_000 }]);
});

test('where everything that was read is finished, the time is that of the last record', async () => {
  const { positions, store } = positionsOf({ ...read, oldestOpenMs: undefined });
  await positions.save();
  expect(store.save).toHaveBeenCalledWith([expect.objectContaining({ offset: 7, appendedAtMs: 3_000 })]);
});

test('a partition of which this process has read nothing keeps the position of its former owner', async () => {
  const { positions, store } = positionsOf({ ...read, oldestOpenMs: undefined, lastReadMs: undefined });
  await positions.save();
  expect(store.save).not.toHaveBeenCalled();
});

test('only what changed is saved, and what could not be saved is saved again', async () => {
  const { positions, store, of } = positionsOf(read, { ...read, partition: 1 });
  store.save.mockRejectedValueOnce(new Error('away'));
  await expect(positions.save()).rejects.toThrow('away');
  await positions.save();
  expect(store.save).toHaveBeenLastCalledWith([expect.objectContaining({ partition: 0 }), expect.objectContaining({ partition: 1 })]);
  of.progress = [read, { ...read, partition: 1, watermark: 8 }];
  await positions.save();
  expect(store.save).toHaveBeenLastCalledWith([expect.objectContaining({ partition: 1, offset: 8 })]);
  await positions.save();
  expect(store.save).toHaveBeenCalledTimes(3);
});
