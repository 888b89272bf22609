import { createRequire } from 'node:module';

/**
 * Two repairs of kafkajs 2.2.4, made once per process when this file is loaded. kafkajs is no longer released, so they live here, where a
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

interface ConsumerGroup {
  memberId: string | null;
  assigners: readonly { beforeRejoin?: () => Promise<void> }[];
}

/**
 * kafkajs joins again as soon as it hears of a rebalance and has no hook for what must happen before (no `onPartitionsRevoked`:
 * https://github.com/tulios/kafkajs/issues/1222). Records in flight would be handled by the next owner at the same time. With this, a member
 * first awaits `beforeRejoin` of its assigner, the one object that we hand to kafkajs and that its consumer group knows.
 */
function waitBeforeRejoin(): void {
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as { prototype: { joinAndSync(): Promise<void> } };
  const joinAndSync = Reflect.get(prototype, 'joinAndSync');
  prototype.joinAndSync = async function (this: ConsumerGroup & { joinAndSync(): Promise<void> }): Promise<void> {
    if (this.memberId) for (const assigner of this.assigners) await assigner.beforeRejoin?.();
    return joinAndSync.call(this);
  };
}

stopIdleTimers();
waitBeforeRejoin();
