import { logger } from '#libs/tracing';
import { readCommitMetadata } from './commit-metadata.js';
import type { LogOfCommit } from './commit-metadata.js';
import type { LazyAdmin } from '../kafka/lazy-admin.js';
import { partitionName } from '../logged-record.js';

/** The last commit of a partition's former owner. */
export interface EarlierCommit extends LogOfCommit {
  readonly offset: number;
  /** Finished offsets above `offset`, ascending. */
  readonly finished: readonly number[];
}

const log = logger('messaging');

/** Reads the metadata of a group's commits, which kafkajs' consumer discards when it fetches the offsets. */
export class EarlierCommits {
  constructor(
    private readonly admin: LazyAdmin,
    private readonly groupId: string,
  ) {}

  /** Returns the commits by `topic/partition`. Never rejects: without a response, records finished above the offset are handled again and found to be done. */
  async read(topics: readonly string[]): Promise<Map<string, EarlierCommit>> {
    const commits = new Map<string, EarlierCommit>();
    try {
      const { groupId } = this;
      for (const { topic, partitions } of await this.admin.use((admin) => admin.fetchOffsets({ groupId, topics: [...topics] }))) {
        for (const { partition, offset: text, metadata } of partitions) {
          const offset = Number(text);
          if (offset >= 0) commits.set(partitionName({ topic, partition }), { offset, ...readCommitMetadata(offset, metadata) });
        }
      }
    } catch (error) {
      log.warn({ err: error, groupId: this.groupId }, 'what was finished above the committed offsets could not be read');
    }
    return commits;
  }
}
