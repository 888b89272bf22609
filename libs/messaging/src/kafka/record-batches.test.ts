import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRecords } from './record-batches.js';
import type { ReadRecord } from './record-batches.js';

const require = createRequire(import.meta.url);

/** kafkajs' own encoder and decoder, which have no types. */
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0/index.js') as {
  RecordBatch: (batch: object) => Promise<{ buffer: Buffer }>;
};
const Record = require('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => object;
const Decoder = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => object;
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js') as (decoder: object) => Promise<ReadRecord[]>;

interface Written {
  key: Buffer | null;
  value: Buffer | null;
  headers: { [name: string]: string | string[] };
  delayMs: number;
}

async function batchOf(
  records: readonly Written[],
  more: object = {},
  firstOffset = 0,
  firstTimestamp = 1_764_000_000_000,
): Promise<Buffer> {
  const timestamps = records.map(({ delayMs }) => firstTimestamp + delayMs);
  const encoded = await RecordBatch({
    compression: 0,
    firstOffset,
    firstTimestamp,
    maxTimestamp: Math.max(...timestamps),
    partitionLeaderEpoch: 0,
    lastOffsetDelta: records.length - 1,
    transactional: false,
    producerId: -1,
    producerEpoch: -1,
    firstSequence: -1,
    records: records.map(({ key, value, headers }, n) =>
      Record({ offsetDelta: n, timestampDelta: timestamps[n]! - firstTimestamp, key, value, headers }),
    ),
    ...more,
  });
  return Buffer.from(encoded.buffer);
}

async function asKafkajsReads(bytes: Buffer): Promise<ReadRecord[]> {
  const size = Buffer.alloc(4);
  size.writeInt32BE(bytes.length);
  return decodeMessages(new Decoder(Buffer.concat([size, bytes])));
}

const comparable = (records: readonly ReadRecord[]) =>
  records.map(({ offset, timestamp, key, value, headers, isControlRecord, attributes }) => {
    return { offset, timestamp, key, value, headers: { ...headers }, isControlRecord, attributes };
  });

const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each));
const record = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.dictionary(
    fc.string({ minLength: 1, maxLength: 12 }).filter((name) => !(name in {})), // kafkajs takes `valueOf` for a header that occurs again
    fc.oneof(fc.string(), fc.array(fc.string(), { minLength: 2, maxLength: 3 })),
    { maxKeys: 9 },
  ),
  delayMs: fc.integer({ min: -1_000_000, max: 10_000_000_000 }),
});

test('records are read as kafkajs reads them', async () => {
  const batches = fc.array(fc.tuple(fc.array(record, { minLength: 1, maxLength: 5 }), fc.nat({ max: 2 ** 40 })), {
    minLength: 1,
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(batches, async (each) => {
      const all = Buffer.concat(await Promise.all(each.map(([records, offset]) => batchOf(records, {}, offset))));
      const read = readRecords(all);
      expect(comparable(read!)).toEqual(comparable(await asKafkajsReads(all)));
    }),
    { numRuns: 200 },
  );
});

const one: Written = { key: Buffer.from('k'), value: Buffer.from('v'), headers: { a: 'b' }, delayMs: 0 };

test('a batch that is cut off is left for the next fetch', async () => {
  const whole = await batchOf([one]);
  for (let cut = 1; cut < whole.length; cut += 1) {
    expect(readRecords(Buffer.concat([whole, whole.subarray(0, whole.length - cut)]))).toHaveLength(1);
  }
});

test('what is compressed or in a transaction is left to kafkajs', async () => {
  const plain = await batchOf([one]);
  const withAttributes = (attributes: number): Buffer => {
    const changed = Buffer.from(plain);
    changed.writeInt16BE(attributes, 21);
    return changed;
  };
  for (const attributes of [1, 2, 3, 4, 0x10, 0x20])
    expect(readRecords(Buffer.concat([plain, withAttributes(attributes)]))).toBeUndefined();
  expect(readRecords(withAttributes(0x08))).toHaveLength(1); // the broker's time instead of the producer's
});
