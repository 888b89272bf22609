import type { Admin } from 'kafkajs';
import { eventTopics, topics } from '#libs/contracts';
import type { History } from './history.js';
import { logClient } from './log-reader.js';
import { logPrefix } from './system.js';

const intervalMs = 1_000;

/** The consumer groups that share their topics among their members, and those topics. */
const groups: readonly { group: string; topics: readonly string[] }[] = [
  { group: 'recorder', topics: Object.values(eventTopics).map(({ name }) => name) },
  { group: 'flows', topics: Object.values(eventTopics).map(({ name }) => name) },
  { group: 'deliveries', topics: [topics.outcomes.name] },
  { group: 'dead-letters', topics: [topics.deadLetters.name, topics.commands.name] },
  { group: 'replays', topics: [topics.commands.name] },
  { group: 'redeliveries', topics: [topics.commands.name] },
];

/** Samples the committed offsets of the groups once a second. */
export class OffsetWatch {
  private readonly admin: Admin;
  private timer: NodeJS.Timeout | undefined;
  private sampling: Promise<void> | undefined;

  constructor(
    brokers: readonly string[],
    private readonly history: History,
  ) {
    this.admin = logClient(brokers).admin();
  }

  start(): void {
    this.timer = setInterval(() => {
      this.sampling ??= this.sample()
        .catch(() => undefined) // the log is away
        .finally(() => (this.sampling = undefined));
    }, intervalMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.sampling;
    await this.admin.disconnect().catch(() => undefined);
  }

  /** Sum over all groups of the records that the group has not committed. */
  async lag(): Promise<number> {
    let lag = 0;
    for (const { group, topics: names } of groups) {
      for (const { topic, partitions } of await this.committed(group, names)) {
        const committed = new Map(partitions.map(({ partition, offset }) => [partition, Math.max(0, Number(offset))]));
        for (const { partition, high } of await this.admin.fetchTopicOffsets(topic)) lag += Number(high) - (committed.get(partition) ?? 0);
      }
    }
    return lag;
  }

  private async sample(): Promise<void> {
    for (const { group, topics: names } of groups) {
      for (const { topic, partitions } of await this.committed(group, names)) {
        const offsets = new Map(partitions.flatMap(({ partition, offset }) => (Number(offset) < 0 ? [] : [[partition, Number(offset)]])));
        this.history.offsets.push({ at: this.history.now(), group, topic, offsets });
      }
    }
  }

  private committed(group: string, names: readonly string[]): ReturnType<Admin['fetchOffsets']> {
    return this.admin.fetchOffsets({ groupId: `${logPrefix}${group}`, topics: names.map((name) => `${logPrefix}${name}`) });
  }
}
