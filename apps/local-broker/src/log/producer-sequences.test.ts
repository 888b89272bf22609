import { expect, test } from 'vitest';
import { ProducerSequences } from './producer-sequences.js';
import type { BatchHeader } from './record-batch.js';

const batch = (firstSequence: number, count = 1, changes: Partial<BatchHeader> = {}): BatchHeader => ({
  baseOffset: 1_000 + firstSequence,
  bytes: 100,
  lastOffset: 1_000 + firstSequence + count - 1,
  producerId: 7,
  producerEpoch: 0,
  firstSequence,
  firstTimestampMs: -1,
  maxTimestampMs: -1,
  lastSequence: (firstSequence + count - 1) % 2 ** 31,
  ...changes,
});

function after(...batches: BatchHeader[]): ProducerSequences {
  const sequences = new ProducerSequences();
  for (const each of batches) sequences.appended(each);
  return sequences;
}

test('a batch that follows the last one is new', () => {
  expect(after(batch(0, 10)).check(batch(10))).toEqual({ kind: 'next' });
});

test('one of the last five batches, sent again, is where it was', () => {
  const sequences = after(...[0, 1, 2, 3, 4].map((sequence) => batch(sequence)));
  expect(sequences.check(batch(0))).toEqual({ kind: 'repeat', baseOffset: 1_000 });
  sequences.appended(batch(5));
  expect(sequences.check(batch(0))).toEqual({ kind: 'refused', reason: 'outOfOrderSequenceNumber' });
  expect(sequences.check(batch(5))).toEqual({ kind: 'repeat', baseOffset: 1_005 });
});

test('a batch after a gap is refused, because what is missing may still come', () => {
  expect(after(batch(0)).check(batch(2))).toEqual({ kind: 'refused', reason: 'outOfOrderSequenceNumber' });
});

test('a newer epoch of a producer starts again at 0, an older one is over', () => {
  const sequences = after(batch(8, 1, { producerEpoch: 3 }));
  expect(sequences.check(batch(0, 1, { producerEpoch: 4 }))).toEqual({ kind: 'next' });
  expect(sequences.check(batch(9, 1, { producerEpoch: 4 }))).toEqual({ kind: 'refused', reason: 'outOfOrderSequenceNumber' });
  expect(sequences.check(batch(9, 1, { producerEpoch: 2 }))).toEqual({ kind: 'refused', reason: 'invalidProducerEpoch' });
});

test('the sequence after the largest is 0', () => {
  expect(after(batch(2 ** 31 - 2, 2)).check(batch(0))).toEqual({ kind: 'next' });
});

test('an unknown producer starts anywhere, and one that is not idempotent is never checked', () => {
  expect(after().check(batch(500))).toEqual({ kind: 'next' });
  const anonymous = { producerId: -1, firstSequence: -1, lastSequence: -1 };
  expect(after(batch(0, 1, anonymous)).check(batch(0, 1, anonymous))).toEqual({ kind: 'next' });
});

test('of very many producers the one longest silent is forgotten', () => {
  const sequences = after(...Array.from({ length: 1_001 }, (_, producerId) => batch(0, 1, { producerId })));
  expect(sequences.check(batch(0, 1, { producerId: 0 }))).toEqual({ kind: 'next' });
  expect(sequences.check(batch(0, 1, { producerId: 1 }))).toMatchObject({ kind: 'repeat' });
});
