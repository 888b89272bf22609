import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Six repairs of kafkajs 2.2.4, made once per process when this file is loaded. kafkajs is no longer released, so they live here, where a
 * test sees them and a newcomer finds them, rather than in a fork or in a patched node_modules.
 */

const require = createRequire(import.meta.url);

interface RequestQueue {
  pending: unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
}

/**
 * Every response re-arms a timer even where nothing waits to be sent, with a negative delay that Node turns into 1 ms: each idle connection
 * spins, and Node 24 prints TimeoutNegativeWarning. https://github.com/tulios/kafkajs/issues/1751, fixed in the unmerged
 * https://github.com/tulios/kafkajs/pull/1755; here the timer exists only while requests wait.
 */
function stopIdleTimers(): void {
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as { prototype: object };
  Object.assign(prototype, {
    scheduleCheckPendingRequests(this: RequestQueue): void {
      if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
      const throttledMs = this.throttledUntil - Date.now();
      this.throttleCheckTimeoutId = setTimeout(
        () => {
          this.throttleCheckTimeoutId = null;
          this.checkPendingRequests();
        },
        throttledMs > 0 ? throttledMs : 10,
      );
    },
  });
}

/** Who a consumer is to its group's coordinator. */
export interface MemberGeneration {
  readonly memberId: string;
  readonly generationId: number;
}

/** What an assigner may have besides kafkajs' own methods: it is the one object that we hand to kafkajs and that its consumer group knows. */
export interface GroupListener {
  /** Awaited before this consumer joins again. @param isMember false where the group has gone on without it */
  beforeRejoin?(isMember: boolean): Promise<void>;
  /** False once the consumer is being stopped, so that a log that is away is not waited for. */
  mayJoin?(): boolean;
  /** Set by the consumer group: who it is, also while it tells of a join. */
  membership?: () => MemberGeneration;
}

interface KafkajsConsumerGroup {
  memberId: string | null;
  generationId: number;
  assigners: readonly GroupListener[];
  heartbeat(options: { interval: number }): Promise<void>;
  joinAndSync(): Promise<void>;
  fetch(nodeId: string): Promise<unknown>;
}

/** Between two tries to join again. */
const joinPauseMs = 500;
/** How often a member that waits before it joins again says that it lives; the shortest session is 6 s. */
const waitingBeatMs = 1_500;

/**
 * kafkajs joins again as soon as it hears of a rebalance and has no hook for what must happen before (no `onPartitionsRevoked`:
 * https://github.com/tulios/kafkajs/issues/1222). Records in flight would be handled by the next owner at the same time. With this, a member
 * first awaits `beforeRejoin` of its assigner, and keeps its session meanwhile.
 *
 * A join that breaks off because the broker is away ends, in kafkajs, as a failed fetch, after which it fetches on as the member it was, and no
 * join is ever told of: whoever waits for that would wait for ever. So it is tried here until it succeeds.
 */
function waitBeforeRejoin(): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: KafkajsConsumerGroup };
  const joinAndSync = Reflect.get(prototype, 'joinAndSync');
  prototype.joinAndSync = async function (this: KafkajsConsumerGroup): Promise<void> {
    const isMember = Boolean(this.memberId);
    // Answered with "rebalance in progress", and counted as a sign of life all the same.
    const beat = isMember && setInterval(() => void this.heartbeat({ interval: 0 }).catch(() => undefined), waitingBeatMs);
    try {
      for (const assigner of this.assigners) {
        assigner.membership = () => ({ memberId: this.memberId ?? '', generationId: this.generationId });
        await assigner.beforeRejoin?.(isMember);
      }
    } finally {
      if (beat) clearInterval(beat);
    }
    await joinUntilJoined(this, () => joinAndSync.call(this));
  };
}

async function joinUntilJoined(group: KafkajsConsumerGroup, join: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await join();
    } catch (error) {
      const isPassing = error instanceof Error && 'retriable' in error && error.retriable === true; // a KafkaJSError says so of itself
      if (!isPassing || !group.assigners.every((listener) => listener.mayJoin?.() ?? false)) throw error;
    }
    await delay(joinPauseMs);
  }
}

/** Between the beginnings of two fetches of a group from a broker. One that waited so long for its first record is followed at once. */
const fetchEveryMs = 25;

/**
 * Kafka answers a fetch with the first record that comes, and kafkajs fetches again at once: under a steady load that is a fetch for every
 * record, and each costs a millisecond in all, on both sides, for the partitions it asks for. Paced, it brings what came meanwhile; a record
 * that comes after a pause is still answered at once.
 */
function paceFetches(): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: KafkajsConsumerGroup };
  const fetch = Reflect.get(prototype, 'fetch');
  const beganAtMs = new WeakMap<KafkajsConsumerGroup, Map<string, number>>();
  prototype.fetch = async function (this: KafkajsConsumerGroup, nodeId: string): Promise<unknown> {
    const began = beganAtMs.get(this) ?? new Map<string, number>();
    beganAtMs.set(this, began);
    const waitMs = (began.get(nodeId) ?? -Infinity) + fetchEveryMs - performance.now();
    if (waitMs > 0) await delay(waitMs);
    began.set(nodeId, performance.now());
    return fetch.call(this, nodeId);
  };
}

interface Runner {
  readonly running: boolean;
  readonly fetchManager: { stop(): Promise<void> };
  fetch(nodeId: string): Promise<unknown>;
}

/**
 * Where a broker came or went, kafkajs replaces its fetchers as soon as each has ended, also when the consumer is told to stop meanwhile. The new
 * ones belong to a consumer that does not run: each fetch of theirs is answered with nothing, at once, and they fetch on without ever giving
 * way to a timer, an answer or a signal. The process uses up a core, and only SIGKILL ends it.
 */
function endFetchersOfStopped(): void {
  const { prototype } = require('kafkajs/src/consumer/runner.js') as { prototype: Runner };
  const fetch = Reflect.get(prototype, 'fetch');
  prototype.fetch = function (this: Runner, nodeId: string): Promise<unknown> {
    if (!this.running) void this.fetchManager.stop(); // not awaited: it waits for this very fetch
    return fetch.call(this, nodeId);
  };
}

stopIdleTimers();
waitBeforeRejoin();
paceFetches();
endFetchersOfStopped();
