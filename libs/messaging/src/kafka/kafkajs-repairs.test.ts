import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { KafkaJSConnectionError, KafkaJSNonRetriableError } from 'kafkajs';
import { expect, test, vi } from 'vitest';
import type { GroupListener } from './kafkajs-repairs.js';
import './kafkajs-repairs.js';

const require = createRequire(import.meta.url);

const consumerGroup = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: { joinAndSync(): Promise<void> } };

/** A member of a group whose joins end as given, one after the other; the last one repeats. */
function member(...joins: (Error | undefined)[]) {
  const told: string[] = [];
  const listener: GroupListener = {
    beforeRejoin: async (isMember) => void told.push(isMember ? 'drain' : 'give up'),
    mayJoin: () => !group.isStopping,
  };
  const retrier = async (): Promise<void> => {
    told.push('join');
    const fault = joins.length > 1 ? joins.shift() : joins[0];
    if (fault !== undefined) throw fault;
  };
  const group = {
    memberId: 'm-1' as string | null,
    generationId: 7,
    assigners: [listener],
    heartbeat: async () => undefined,
    retrier,
    isStopping: false,
  };
  return { group, told, listener, join: () => consumerGroup.prototype.joinAndSync.call(group as never) };
}
const away = () => new KafkaJSConnectionError('connect ECONNREFUSED');

test('a member drains, and joins again until the broker is back', async () => {
  const { join, told, listener } = member(away(), away(), undefined);
  await join();
  expect(told).toEqual(['drain', 'join', 'join', 'join']);
  expect(listener.membership?.()).toEqual({ memberId: 'm-1', generationId: 7 });
});

test('a member that was evicted gives up what it has first', async () => {
  const { join, told, group } = member(undefined);
  group.memberId = null;
  await join();
  expect(told).toEqual(['give up', 'join']);
});

test('a log that is away is not waited for once the consumer stops, nor where no try can help', async () => {
  const stopping = member(away());
  stopping.group.isStopping = true;
  await expect(stopping.join()).rejects.toThrow('ECONNREFUSED');
  await expect(member(new KafkaJSNonRetriableError('not authorized')).join()).rejects.toThrow('not authorized');
});

test('a consumer that is stopped while its brokers change comes to its end', async () => {
  const Runner = require('kafkajs/src/consumer/runner.js') as new (parts: object) => EventEmitter & {
    start(): Promise<void>;
    stop(): Promise<void>;
  };
  const hanging = Promise.withResolvers<unknown[]>();
  let nodeIds = ['1', '2'];
  let afterStop = 0;
  const logger = {
    namespace: () => logger,
    debug: (message: string) => {
      if (message === 'consumer not running, exiting' && (afterStop += 1) > 100) throw new Error('it would go on for ever');
    },
    info: () => undefined,
    error: () => undefined,
  };
  const left = vi.fn(async () => undefined);
  const members = {
    getNodeIds: () => nodeIds,
    connect: async () => undefined,
    joinAndSync: async () => undefined,
    heartbeat: async () => undefined,
    leave: left,
    fetch: (nodeId: string) => (nodeId === '2' ? hanging.promise : delay(1, [])),
  };
  const instrumentationEmitter = { emit: () => undefined };
  const runner = new Runner({
    logger,
    consumerGroup: members,
    instrumentationEmitter,
    concurrency: 1,
    onCrash: () => undefined,
    retry: { retries: 0 },
  });
  await runner.start();
  nodeIds = ['1']; // new fetchers begin only after the fetcher of the other broker has ended
  await delay(20);
  const stopped = runner.stop();
  hanging.resolve([]);
  await stopped;
  expect(left).toHaveBeenCalledOnce();
  expect(afterStop).toBeLessThan(5);
});
