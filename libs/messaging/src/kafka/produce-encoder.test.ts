import { createRequire } from 'node:module';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { replaceProduceEncoder } from './produce-encoder.js';
import { encodeProduceRequest } from './produce-request.js';

type MakeRequest = (produced: object) => { encode(): Promise<{ buffer: Buffer }> };
const require = createRequire(import.meta.url);
const byKafkajs = require('kafkajs/src/protocol/requests/produce/v7/request.js') as MakeRequest;
const encode = vi.fn(encodeProduceRequest);
replaceProduceEncoder(encode);
const { protocol } = require('kafkajs/src/protocol/requests/produce/index.js') as {
  protocol: (options: { version: number }) => (produced: object) => { request: ReturnType<MakeRequest> };
};

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 10, 21, 10), toFake: ['Date'] }));
afterEach(() => vi.useRealTimers());

test.each([
  ['a plain record', {}, {}],
  ['a record with a timestamp of its own', { timestamp: '1700000000000' }, {}],
  ['a record with a repeated header', { headers: { seen: ['once', 'twice'] } }, {}],
  ['a record in a transaction', {}, { transactionalId: 'transfer' }],
  ['a compressed record', {}, { compression: 1 }],
])('%s is written as kafkajs writes it', async (_, message, settings) => {
  const messages = [{ key: 'key', value: 'value', headers: { name: 'value' }, ...message }];
  const topicData = [{ topic: 'events', partitions: [{ partition: 3, firstSequence: 5, messages }] }];
  const produced = { acks: -1, timeout: 5_000, compression: 0, producerId: '7', producerEpoch: 1, topicData, ...settings };
  const { request } = protocol({ version: 7 })(produced);
  expect((await request.encode()).buffer.equals((await byKafkajs(produced).encode()).buffer)).toBe(true);
});

test.each(['ingestion', 'x'.repeat(300)])('the header of a client %s stands before it as kafkajs has it', async (clientId) => {
  const frame = require('kafkajs/src/protocol/request.js') as (sent: object) => Promise<{ buffer: Buffer }>;
  const topicData = [{ topic: 'events', partitions: [{ partition: 3, firstSequence: 5, messages: [{ value: 'x'.repeat(10_000) }] }] }];
  const produced = { acks: -1, timeout: 5_000, compression: 0, producerId: '7', producerEpoch: 1, topicData };
  const { request } = protocol({ version: 7 })(produced);
  const [ours, theirs] = await Promise.all(
    [request, byKafkajs(produced)].map((one) => frame({ correlationId: 9, clientId, request: one })),
  );
  expect(ours!.buffer.equals(theirs!.buffer)).toBe(true);
});

test('kafkajs writes its requests with the encoder that was given', async () => {
  const messages = [{ key: 'key', value: 'value' }];
  const topicData = [{ topic: 'events', partitions: [{ partition: 3, firstSequence: 5, messages }] }];
  const produced = { acks: -1, timeout: 5_000, compression: 0, producerId: '7', producerEpoch: 1, topicData };
  encode.mockClear();
  await protocol({ version: 7 })(produced).request.encode();
  expect(encode).toHaveBeenCalledOnce();
});
