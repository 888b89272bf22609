import { createRequire } from 'node:module';
import { expect, test, vi } from 'vitest';
import type { FetchPace } from './group-fetch.js';
import './kafkajs-repairs.js';
import type { GroupListener } from './kafkajs-repairs.js';

const require = createRequire(import.meta.url);
const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: object };

interface Fetched {
  readonly topic: string;
  readonly partition: number;
}

interface Parts {
  pace?: Partial<FetchPace>;
  paused?: readonly number[];
  /** Partitions with a record. */
  full?: readonly number[];
  /** The partitions that each response names, with the ends of their logs. Default: one response with all of them. */
  changed?: (readonly [partition: number, end: number])[][];
  answer?: () => Promise<void>;
}

const allAtOne = (): [number, number][] => [0, 1, 2, 3].map((partition) => [partition, 1]);

/** A member of a group with four partitions of one topic, each at its beginning. */
function groupOf({ pace = {}, paused = [], full = [], answer = async () => undefined, changed = [allAtOne()] }: Parts = {}) {
  const beganAtMs: number[] = [];
  const messages = (partition: number): object[] => (full.includes(partition) ? [{ offset: '0' }] : []);
  const send = async () => {
    beganAtMs.push(performance.now());
    await answer();
    const partitions = changed
      .shift()
      ?.map(([partition, end]) => ({ partition, highWatermark: String(end), messages: messages(partition), abortedTransactions: [] }));
    return { errorCode: 0, sessionId: 0, responses: [{ topicName: 't', partitions: partitions ?? [] }] };
  };
  const partitionMetadata = [0, 1, 2, 3].map((partitionId) => ({ partitionId, leader: 1 }));
  const broker = { connectionPool: { send }, disconnect: async () => undefined };
  const cluster = {
    brokerPool: { metadata: { topicMetadata: [{ topic: 't', partitionMetadata }] } },
    refreshMetadataIfNecessary: async () => undefined,
    findBroker: async () => broker,
  };
  const assigner: GroupListener = { fetchPace: (): FetchPace => ({ stopped: new AbortController().signal, ...pace }) };
  const offsets = { t: { 0: '0', 1: '0', 2: '0', 3: '0' } };
  const group = Object.assign(Object.create(prototype) as { fetch(nodeId: string): Promise<Fetched[]> }, {
    cluster,
    assigners: [assigner],
    maxWaitTime: 1,
    minBytes: 1,
    maxBytes: 1_000,
    maxBytesPerPartition: 100,
    isolationLevel: 1,
    seekOffset: Object.assign(new Map<string, string>(), { has: () => false }),
    subscriptionState: {
      assignedPartitionsByTopic: { t: { topic: 't', partitions: [0, 1, 2, 3] } },
      isPaused: (_: string, partition: number) => paused.includes(partition),
    },
    offsetManager: { resolvedOffsets: { t: {} }, committedOffsets: () => offsets },
    checkForStaleAssignment: () => undefined,
    recoverFromFetch: async (error: unknown) => {
      throw error;
    },
  });
  return { fetch: () => group.fetch('1'), beganAtMs, logEnds: () => [0, 1, 2, 3].map((partition) => assigner.logEnd?.('t', partition)) };
}

test('what has records is handed on, and nothing else', async () => {
  const { fetch } = groupOf({ full: [1, 2, 3], paused: [2] });
  expect((await fetch()).map(({ topic, partition }) => `${topic}/${partition}`)).toEqual(['t/1', 't/3']);
});

test('the fetches of a group from a broker begin as long after each other as it asks', async () => {
  const { fetch, beganAtMs } = groupOf({ pace: { everyMs: 25 } });
  for (let n = 0; n < 3; n += 1) await fetch();
  const [first, , third] = beganAtMs;
  expect(third! - first!).toBeGreaterThanOrEqual(2 * 25 - 5); // Node's timers may be a little early
});

test('they hold up no other group', async () => {
  const began = performance.now();
  await Promise.all(Array.from({ length: 100 }, () => groupOf({ pace: { everyMs: 25 } }).fetch()));
  expect(performance.now() - began).toBeLessThan(1_000);
});

test('a fetch that waits for records ends when the consumer stops', async () => {
  const stopping = new AbortController();
  const { fetch } = groupOf({ pace: { stopped: stopping.signal }, answer: () => new Promise(() => undefined) });
  const fetched = fetch();
  stopping.abort();
  expect(await fetched).toEqual([]);
});

test('responses say where the logs end, each those that have changed; for a paused partition, and without a response for long, nothing says it', async () => {
  const paused: number[] = [];
  const { fetch, logEnds } = groupOf({ paused, changed: [allAtOne(), [[2, 7]]] });
  expect(logEnds()).toEqual([undefined, undefined, undefined, undefined]);
  await fetch();
  await fetch();
  expect(logEnds()).toEqual([1, 1, 7, 1]);
  paused.push(2);
  expect(logEnds()).toEqual([1, 1, undefined, 1]);
  await fetch(); // without the paused one
  paused.pop();
  expect(logEnds()).toEqual([1, 1, undefined, 1]);
  const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 5_001);
  expect(logEnds()).toEqual([undefined, undefined, undefined, undefined]);
  now.mockRestore();
});
