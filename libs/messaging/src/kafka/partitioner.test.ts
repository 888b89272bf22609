import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import { expect, test } from 'vitest';
import { partitionOf } from './partitioner.js';

test('every key lands where the Java-compatible partitioner of kafkajs puts it', () => {
  const reference = Partitioners.DefaultPartitioner();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 48 }), (bytes, count) => {
      const key = Buffer.from(bytes);
      const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
        partitionId,
        leader: 1,
        partitionErrorCode: 0,
        replicas: [1],
        isr: [1],
      }));
      expect(partitionOf(key, count)).toBe(reference({ topic: 't', partitionMetadata, message: { key, value: null } }));
    }),
  );
});

/** From Kafka's own UtilsTest, sign bit cleared. */
test.each([
  ['21', -973_932_308],
  ['foobar', -790_332_482],
  ['a-little-bit-long-string', -985_981_536],
  ['a-little-bit-longer-string', -1_486_304_829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
])('%s hashes as in Kafka', (key, hash) => {
  expect(partitionOf(Buffer.from(key), 0x7fff_ffff)).toBe(hash & 0x7fff_ffff);
});
