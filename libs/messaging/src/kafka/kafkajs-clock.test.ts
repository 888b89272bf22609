import { createRequire } from 'node:module';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import './kafkajs-clock.js';

const require = createRequire(import.meta.url);
const twoHoursMs = 7_200_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Steps the wall clock and leaves the monotonic one alone. */
function step(byMs: number): void {
  vi.setSystemTime(Date.now() + byMs);
}

interface Group {
  memberId: string;
  coordinator: { heartbeat(): Promise<void> };
  heartbeat(options: { interval: number }): Promise<void>;
}

test('heartbeats go on after the wall clock stepped back, at their interval', async () => {
  const ConsumerGroup = require('kafkajs/src/consumer/consumerGroup.js') as new (options: object) => Group;
  const group = new ConsumerGroup({
    cluster: {},
    topics: [],
    instrumentationEmitter: { emit: () => undefined },
    logger: { namespace: () => ({}) },
  });
  let beats = 0;
  group.memberId = 'member';
  group.coordinator = { heartbeat: async () => void (beats += 1) };
  await group.heartbeat({ interval: 3_000 });
  step(-twoHoursMs);
  await group.heartbeat({ interval: 3_000 });
  expect(beats).toBe(1);
  vi.advanceTimersByTime(3_000);
  await group.heartbeat({ interval: 3_000 });
  expect(beats).toBe(2);
});

interface Pool {
  metadata: { topicMetadata: object[] } | null;
  metadataExpireAt: number | null;
  findConnectedBroker(): Promise<object>;
  refreshMetadataIfNecessary(topics: string[]): Promise<null>;
  removeBroker(destination: { host: string; port: number }): void;
}

test('metadata is read again at its age, not by a step of the wall clock, and after a broker was lost', async () => {
  const BrokerPool = require('kafkajs/src/cluster/brokerPool.js') as new (options: object) => Pool;
  const [seed, lost] = [2, 1].map((nodeId) => ({ nodeId, connectionPool: { host: 'broker', port: nodeId } }));
  const pool = new BrokerPool({
    connectionPoolBuilder: { build: async () => seed!.connectionPool },
    logger: { namespace: () => ({}) },
    retry: { retries: 0 },
    metadataMaxAge: 60_000,
  });
  let reads = 0;
  const metadata = async (): Promise<object> => {
    reads += 1;
    return { topicMetadata: [{ topic: 'events' }], brokers: [] };
  };
  Object.assign(pool, { seedBroker: seed, findConnectedBroker: async () => ({ metadata }) });
  const ask = (): Promise<null> => pool.refreshMetadataIfNecessary(['events']);
  await ask();
  step(twoHoursMs);
  await ask();
  expect(reads).toBe(1);
  step(-2 * twoHoursMs);
  vi.advanceTimersByTime(60_001);
  await ask();
  expect(reads).toBe(2);
  Object.assign(pool, { brokers: { 1: lost } });
  pool.removeBroker({ host: 'broker', port: 1 });
  await ask();
  expect(reads).toBe(3);
});

interface Queue {
  throttledUntil: number;
  push(request: object): void;
  scheduleRequestTimeoutCheck(): void;
  maybeThrottle(ms: number): void;
  canSendSocketRequestImmediately(): boolean;
  destroy(): void;
}

function queueOf(requestTimeout: number): Queue {
  const RequestQueue = require('kafkajs/src/network/requestQueue/index.js') as new (options: object) => Queue;
  const debug = (): void => undefined;
  return new RequestQueue({
    requestTimeout,
    maxInFlightRequests: null,
    enforceRequestTimeout: true,
    clientId: 'test',
    broker: 'broker:1',
    logger: { namespace: () => ({ debug }), debug },
    isConnected: () => true,
  });
}

test.each([
  ['forward', twoHoursMs],
  ['back', -twoHoursMs],
])('a request in flight while the wall clock steps %s ends at its own deadline', (_direction, byMs) => {
  const queue = queueOf(1_000);
  const ended: unknown[] = [];
  queue.scheduleRequestTimeoutCheck();
  const entry = { correlationId: 1, apiName: 'Metadata', apiKey: 3, apiVersion: 1, reject: (error: unknown) => void ended.push(error) };
  queue.push({ entry, expectResponse: true, sendRequest: () => undefined });
  step(byMs);
  vi.advanceTimersByTime(900);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(300);
  expect(ended).toHaveLength(1);
  queue.destroy();
});

test('any number of connections share one timer for the deadlines of their requests, which ends with the last of them', () => {
  const queues = Array.from({ length: 5 }, () => queueOf(1_000));
  for (const queue of queues) queue.scheduleRequestTimeoutCheck();
  expect(vi.getTimerCount()).toBe(1);
  for (const queue of queues) queue.destroy();
  expect(vi.getTimerCount()).toBe(0);
});

test('a throttled connection goes on after the time that the broker named, although the wall clock stepped back', () => {
  const queue = queueOf(1_000);
  queue.maybeThrottle(500);
  step(-twoHoursMs);
  expect(queue.canSendSocketRequestImmediately()).toBe(false);
  vi.advanceTimersByTime(500);
  expect(queue.canSendSocketRequestImmediately()).toBe(true);
  queue.destroy();
});
