import { createRequire } from 'node:module';
import { startInterval } from '#libs/time';

/**
 * kafkajs 2.2.4 measures durations with the wall clock. After a step back of two hours it sends no heartbeat for two hours, so that the member is
 * removed, ends no request that gets no response, and keeps a throttled connection silent; after a step forward it ends every request in flight.
 * With this, loaded once per process, these durations come from the monotonic clock. Timestamps of records stay those of the wall clock.
 */

const require = createRequire(import.meta.url);

interface ConsumerGroup {
  heartbeat(options: { interval: number }): Promise<void>;
}

function beatByMonotonicClock(): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: ConsumerGroup };
  const heartbeat = Reflect.get(prototype, 'heartbeat');
  const beatAtMs = new WeakMap<ConsumerGroup, number>();
  prototype.heartbeat = async function (this: ConsumerGroup, { interval }): Promise<void> {
    if (performance.now() < (beatAtMs.get(this) ?? -Infinity) + interval) return;
    await heartbeat.call(this, { interval: -Infinity }); // whatever kafkajs thinks when the last one was
    beatAtMs.set(this, performance.now());
  };
}

interface SocketRequest {
  readonly requestTimeout: number;
  send(): void;
  timeoutRequest(): void;
}

interface RequestQueue {
  readonly inflight: ReadonlyMap<number, SocketRequest>;
  readonly maxInFlightRequests: number | null;
  readonly enforceRequestTimeout: boolean;
  /** By the monotonic clock. */
  throttledUntil: number;
  isConnected(): boolean;
  destroy(): void;
}

/** Between two checks whether requests have waited too long. */
const timeoutCheckMs = 100;
/** The connections whose requests are checked. kafkajs starts a timer for each connection; with twenty of them, an idle process would wake 200 times a second. */
const checkedQueues = new Set<RequestQueue>();
let check: NodeJS.Timeout | undefined;

function checkTimeouts(sentAtMs: WeakMap<SocketRequest, number>): void {
  const nowMs = performance.now();
  for (const queue of checkedQueues) {
    for (const waiting of queue.inflight.values()) {
      if (nowMs - (sentAtMs.get(waiting) ?? nowMs) > waiting.requestTimeout) waiting.timeoutRequest();
    }
    if (!queue.isConnected()) queue.destroy();
  }
}

function waitForResponsesByMonotonicClock(): void {
  const sentAtMs = new WeakMap<SocketRequest, number>();
  const request = (require('kafkajs/src/network/requestQueue/socketRequest.js') as { prototype: SocketRequest }).prototype;
  const send = Reflect.get(request, 'send');
  request.send = function (this: SocketRequest): void {
    sentAtMs.set(this, performance.now());
    send.call(this);
  };
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue };
  const destroy = Reflect.get(prototype, 'destroy');
  Object.assign(prototype, {
    scheduleRequestTimeoutCheck(this: RequestQueue): void {
      if (!this.enforceRequestTimeout) return;
      checkedQueues.add(this);
      check ??= startInterval(() => checkTimeouts(sentAtMs), timeoutCheckMs);
    },
    destroy(this: RequestQueue): void {
      destroy.call(this);
      checkedQueues.delete(this);
      if (checkedQueues.size > 0) return;
      clearInterval(check);
      check = undefined;
    },
    maybeThrottle(this: RequestQueue, throttleMs: number | null): void {
      if (throttleMs === null || !(throttleMs > 0)) return;
      this.throttledUntil = Math.max(performance.now() + throttleMs, this.throttledUntil);
    },
    canSendSocketRequestImmediately(this: RequestQueue): boolean {
      const isFull = this.maxInFlightRequests !== null && this.inflight.size >= this.maxInFlightRequests;
      return !isFull && this.throttledUntil <= performance.now();
    },
  });
}

interface BrokerPool {
  readonly metadataMaxAge: number;
  metadataExpireAt: number | null;
  refreshMetadata(topics: string[]): Promise<null>;
  refreshMetadataIfNecessary(topics: string[]): Promise<null>;
}

function ageMetadataByMonotonicClock(): void {
  const { prototype } = require('kafkajs/src/cluster/brokerPool.js') as { prototype: BrokerPool };
  const [refresh, refreshIfNecessary] = [Reflect.get(prototype, 'refreshMetadata'), Reflect.get(prototype, 'refreshMetadataIfNecessary')];
  const readAtMs = new WeakMap<BrokerPool, number>();
  prototype.refreshMetadata = async function (this: BrokerPool, topics): Promise<null> {
    const result = await refresh.call(this, topics);
    readAtMs.set(this, performance.now());
    return result;
  };
  prototype.refreshMetadataIfNecessary = function (this: BrokerPool, topics): Promise<null> {
    const isOld = performance.now() > (readAtMs.get(this) ?? -Infinity) + this.metadataMaxAge;
    if (this.metadataExpireAt !== null) this.metadataExpireAt = isOld ? null : Infinity; // null after a broker was lost
    return refreshIfNecessary.call(this, topics);
  };
}

beatByMonotonicClock();
waitForResponsesByMonotonicClock();
ageMetadataByMonotonicClock();
