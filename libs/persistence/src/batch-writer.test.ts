import { describe, expect, test } from 'vitest';
import { BatchWriter, StorageUnavailable } from './index.js';

/** A writer that doubles its inputs, refuses batches with a negative number, and records every batch. */
function writerOf(options: { maxBatch: number; lingerMs?: number }) {
  const batches: number[][] = [];
  const gate = { open: Promise.resolve() };
  const writer = new BatchWriter<number, number>({
    ...options,
    write: async (inputs) => {
      batches.push(inputs);
      await gate.open;
      if (inputs.some((input) => input < 0)) throw new Error('negative');
      return inputs.map((input) => input * 2);
    },
  });
  return { writer, batches, gate };
}

test('inputs added in one turn of the event loop are one write, and each caller gets its own output', async () => {
  const { writer, batches } = writerOf({ maxBatch: 10 });
  expect(await Promise.all([1, 2, 3].map((input) => writer.add(input)))).toEqual([2, 4, 6]);
  expect(batches).toEqual([[1, 2, 3]]);
});

test('a batch lingers for inputs added a little later while they come often, and not while they come rarely', async () => {
  const { writer, batches } = writerOf({ maxBatch: 100, lingerMs: 20 });
  const oneAfterTheOther = async (): Promise<void> => {
    const first = writer.add(1);
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([first, writer.add(2)]);
  };
  await oneAfterTheOther();
  expect(batches).toEqual([[1], [2]]);
  await Promise.all(Array.from({ length: 50 }, (_, input) => writer.add(input)));
  await oneAfterTheOther();
  expect(batches.at(-1)).toEqual([1, 2]);
});

test('a full batch does not wait, and no write is larger than allowed', async () => {
  const { writer, batches } = writerOf({ maxBatch: 2, lingerMs: 60_000 });
  expect(await Promise.all([1, 2, 3, 4].map((input) => writer.add(input)))).toEqual([2, 4, 6, 8]);
  expect(batches).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

test('inputs added during a write go together into the next one', async () => {
  const { writer, batches, gate } = writerOf({ maxBatch: 10 });
  const { promise, resolve: open } = Promise.withResolvers<void>();
  gate.open = promise;
  const first = writer.add(1);
  await new Promise((resolve) => setImmediate(resolve));
  const later = [writer.add(2), writer.add(3)];
  await new Promise((resolve) => setImmediate(resolve));
  expect(batches).toEqual([[1]]);
  open();
  await Promise.all([first, ...later]);
  expect(batches).toEqual([[1], [2, 3]]);
});

describe('a batch that fails', () => {
  test('because of one input fails that caller alone', async () => {
    const { writer } = writerOf({ maxBatch: 10 });
    const outcomes = await Promise.allSettled([1, 2, -3, 4, 5].map((input) => writer.add(input)));
    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason)))).toEqual([
      2,
      4,
      'Error: negative',
      8,
      10,
    ]);
  });

  test('because Postgres is away fails every caller, and is not tried again input by input', async () => {
    let writes = 0;
    const writer = new BatchWriter<number, number>({
      maxBatch: 10,
      write: () => {
        writes += 1;
        return Promise.reject(new StorageUnavailable(new Error('gone')));
      },
    });
    const outcomes = await Promise.allSettled([1, 2, 3].map((input) => writer.add(input)));
    expect(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason instanceof StorageUnavailable)).toBe(true);
    expect(writes).toBe(1);
  });

  test('does not keep the next one from being written', async () => {
    const { writer } = writerOf({ maxBatch: 1 });
    await expect(writer.add(-1)).rejects.toThrow('negative');
    await expect(writer.add(1)).resolves.toBe(2);
  });
});

test('a write that does not return an output for every input is a defect, and no caller gets the output of another', async () => {
  const writer = new BatchWriter<number, number>({ maxBatch: 10, write: () => Promise.resolve([]) });
  await expect(writer.add(1)).rejects.toThrow('A write of 1 inputs gave 0 outputs');
});

test('a write without outputs resolves every caller', async () => {
  const batches: string[][] = [];
  const writer = new BatchWriter<string, void>({ maxBatch: 2, write: (inputs) => Promise.resolve(void batches.push(inputs)) });
  await Promise.all(['a', 'b', 'c'].map((input) => writer.add(input)));
  expect(batches).toEqual([['a', 'b'], ['c']]);
});
