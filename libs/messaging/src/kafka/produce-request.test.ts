import { createRequire } from 'node:module';
import fc from 'fast-check';
import { CompressionTypes } from 'kafkajs';
import { afterEach, expect, test, vi } from 'vitest';
import { encodeProduceRequest, encodedRecord } from './produce-request.js';
import type { ProduceRequest } from './produce-request.js';

const nowMs = Date.UTC(2026, 10, 21, 10);

type KafkajsRequest = (request: ProduceRequest & { compression: CompressionTypes }) => { encode(): Promise<{ buffer: Buffer }> };
const require = createRequire(import.meta.url);
const theirs = require('kafkajs/src/protocol/requests/produce/v7/request.js') as KafkajsRequest;

afterEach(() => vi.useRealTimers());

async function byKafkajs(request: ProduceRequest): Promise<Buffer> {
  vi.useFakeTimers({ now: nowMs, toFake: ['Date'] });
  return (await theirs({ ...request, compression: CompressionTypes.None }).encode()).buffer;
}

/** A hundred requests of up to a hundred records take a second of a free processor, and kafkajs takes most of it. */
const timeoutMs = 60_000;

const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 200 }).map((content) => Buffer.from(content));
const content = fc.oneof(text, bytes);
const record = fc.record({ key: fc.option(content), value: fc.option(content), headers: fc.dictionary(text, content, { maxKeys: 6 }) });
const partition = fc.record({
  partition: fc.nat({ max: 2 ** 31 - 1 }),
  firstSequence: fc.nat({ max: 2 ** 31 - 1 }),
  messages: fc.array(record, { minLength: 1, maxLength: 100, size: 'medium' }),
});
const request: fc.Arbitrary<ProduceRequest> = fc.record({
  acks: fc.constantFrom(-1, 0, 1),
  timeout: fc.nat({ max: 2 ** 31 - 1 }),
  producerId: fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }).map(String),
  producerEpoch: fc.integer({ min: -1, max: 2 ** 15 - 1 }),
  topicData: fc.array(fc.record({ topic: text, partitions: fc.array(partition, { maxLength: 2 }) }), { maxLength: 2 }),
});

test(
  'a request has the bytes that kafkajs writes for it',
  async () => {
    await fc.assert(
      fc.asyncProperty(request, async (produced) => {
        expect(encodeProduceRequest(produced, nowMs).equals(await byKafkajs(produced))).toBe(true);
      }),
    );
  },
  timeoutMs,
);

test(
  'records that were written in advance make the same request',
  async () => {
    const inAdvance = fc.record({ key: content, value: text, headers: fc.dictionary(text, text, { maxKeys: 6 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(inAdvance, { minLength: 1, maxLength: 100, size: 'medium' }), async (records) => {
        const produced = (messages: ProduceRequest['topicData'][0]['partitions'][0]['messages']): ProduceRequest => ({
          acks: -1,
          timeout: 5_000,
          producerId: '7',
          producerEpoch: 0,
          topicData: [{ topic: 'events', partitions: [{ partition: 0, firstSequence: 0, messages }] }],
        });
        const encoded = records.map(encodedRecord);
        expect(encodeProduceRequest(produced(encoded), nowMs).equals(await byKafkajs(produced(records)))).toBe(true);
        expect(encoded.map(({ value }) => String(value))).toEqual(records.map(({ value }) => value));
      }),
    );
  },
  timeoutMs,
);

test.each([63, 64, 8_191, 8_192, 1_048_575, 1_048_576])('a value of %i bytes has a length of the right length', async (length) => {
  const produced: ProduceRequest = {
    acks: -1,
    timeout: 5_000,
    producerId: '7',
    producerEpoch: 0,
    topicData: [{ topic: 'events', partitions: [{ partition: 0, firstSequence: 0, messages: [{ value: 'x'.repeat(length) }] }] }],
  };
  expect(encodeProduceRequest(produced, nowMs).equals(await byKafkajs(produced))).toBe(true);
});
