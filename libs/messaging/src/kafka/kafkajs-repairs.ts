import { createRequire } from 'node:module';
import { sleep, startInterval, startTimer } from '#libs/time';
import './group-fetch.js';
import type { FetchPace } from './group-fetch.js';
import './kafkajs-clock.js';

/**
 * Three repairs of kafkajs 2.2.4, made once per process when this file is loaded. kafkajs is no longer released, so the repairs are here, with
 * tests, rather than in a fork or in a patched node_modules. (Replaced separately: how produce requests are encoded, `produce-encoder.ts`; how a group fetches,
 * `group-fetch.ts`; its clock, `kafkajs-clock.ts`.)
 */

const require = createRequire(import.meta.url);

interface RequestQueue {
  pending: unknown[];
  /** By the monotonic clock: `kafkajs-clock.ts`. */
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
}

/**
 * kafkajs arms a timer after every response even if no request waits, with a negative delay that Node turns into 1 ms: each idle connection
 * spins, and Node 24 prints TimeoutNegativeWarning. https://github.com/tulios/kafkajs/issues/1751, fixed in the unmerged
 * https://github.com/tulios/kafkajs/pull/1755. With this, the timer exists only while requests wait.
 */
function stopIdleTimers(): void {
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as { prototype: object };
  Object.assign(prototype, {
    scheduleCheckPendingRequests(this: RequestQueue): void {
      if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
      const throttledMs = this.throttledUntil - performance.now();
      this.throttleCheckTimeoutId = startTimer(
        () => {
          this.throttleCheckTimeoutId = null;
          this.checkPendingRequests();
        },
        throttledMs > 0 ? throttledMs : 10,
      );
    },
  });
}

/** A member of a consumer group in one generation. */
export interface MemberGeneration {
  readonly memberId: string;
  readonly generationId: number;
}

/** Methods that a partition assigner may have besides kafkajs' own. The assigner is the only object of ours that kafkajs' consumer group knows. */
export interface GroupListener {
  /** Awaited before this consumer joins again. @param isMember false if the group has gone on without it */
  beforeRejoin?(isMember: boolean): Promise<void>;
  /** False once the consumer is stopping, so that it does not wait for a log that is away. */
  mayJoin?(): boolean;
  /** How this consumer fetches. */
  fetchPace?(): FetchPace;
  /** Set by the fetches of the consumer group: the offset after the last record of a log, undefined if no response has said it lately. */
  logEnd?: (topic: string, partition: number) => number | undefined;
  /** Set by the consumer group; valid also while it emits a join event. */
  membership?: () => MemberGeneration;
}

interface KafkajsConsumerGroup {
  memberId: string | null;
  generationId: number;
  assigners: readonly GroupListener[];
  heartbeat(options: { interval: number }): Promise<void>;
  joinAndSync(): Promise<void>;
}

/** Pause between two attempts to join again. */
const joinPauseMs = 500;
/** Heartbeat interval of a member that waits before it joins again; the shortest session is 6 s. */
const waitingBeatMs = 1_500;

/**
 * kafkajs joins again as soon as it hears of a rebalance and has no hook for what must happen before (no `onPartitionsRevoked`:
 * https://github.com/tulios/kafkajs/issues/1222). Records in flight would be handled by the next owner at the same time. With this, a member
 * first awaits `beforeRejoin` of its assigner, and keeps its session meanwhile.
 *
 * If the broker goes away during a join, kafkajs reports a failed fetch and fetches on as the former member, without a join event. A consumer
 * that waits for the event would wait for ever, so the join is repeated here until it succeeds.
 */
function waitBeforeRejoin(): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: KafkajsConsumerGroup };
  const joinAndSync = Reflect.get(prototype, 'joinAndSync');
  prototype.joinAndSync = async function (this: KafkajsConsumerGroup): Promise<void> {
    const isMember = Boolean(this.memberId);
    // The broker responds with "rebalance in progress", but the heartbeat extends the session.
    const beat = isMember && startInterval(() => void this.heartbeat({ interval: 0 }).catch(() => undefined), waitingBeatMs);
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
      const isPassing = error instanceof Error && 'retriable' in error && error.retriable === true; // set by KafkaJSError
      if (!isPassing || !group.assigners.every((listener) => listener.mayJoin?.() ?? false)) throw error;
    }
    await sleep(joinPauseMs);
  }
}

interface Runner {
  readonly running: boolean;
  readonly fetchManager: { stop(): Promise<void> };
  fetch(nodeId: string): Promise<unknown>;
}

/**
 * When a broker comes or goes, kafkajs replaces its fetchers as each of them ends, even if the consumer is stopping meanwhile. The new fetchers
 * belong to a consumer that does not run: each of their fetches returns nothing at once, and the loop never yields to a timer, a response or a
 * signal. The process uses a whole core, and only SIGKILL ends it.
 */
function endFetchersOfStopped(): void {
  const { prototype } = require('kafkajs/src/consumer/runner.js') as { prototype: Runner };
  const fetch = Reflect.get(prototype, 'fetch');
  prototype.fetch = function (this: Runner, nodeId: string): Promise<unknown> {
    if (!this.running) void this.fetchManager.stop(); // not awaited: it waits for this fetch itself
    return fetch.call(this, nodeId);
  };
}

stopIdleTimers();
waitBeforeRejoin();
endFetchersOfStopped();
