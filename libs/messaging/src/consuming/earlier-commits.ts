import type { Admin, Kafka } from 'kafkajs';
import { logger } from '#libs/tracing';
import { readCommitMetadata } from './commit-metadata.js';
import { partitionName } from '../logged-record.js';

/** The last commit of a partition's former owner. */
export interface EarlierCommit {
  readonly offset: number;
  /** The log that `offset` counts in; undefined in commits of earlier versions. */
  readonly logId: string | undefined;
  /** Finished offsets above `offset`, ascending. */
  readonly finished: readonly number[];
}

const log = logger('messaging');

/** Reads the metadata of a group's commits, which kafkajs' consumer discards when it fetches the offsets. */
export class EarlierCommits {
  private admin: Promise<Admin> | undefined;

  constructor(
    private readonly kafka: Kafka,
    private readonly groupId: string,
  ) {}

  /** Returns the commits by `topic/partition`. Never rejects: without a response, records finished above the offset are handled again and found to be done. */
  async read(topics: readonly string[]): Promise<Map<string, EarlierCommit>> {
    const commits = new Map<string, EarlierCommit>();
    try {
      const admin = await (this.admin ??= this.connect());
      for (const { topic, partitions } of await admin.fetchOffsets({ groupId: this.groupId, topics: [...topics] })) {
        for (const { partition, offset: text, metadata } of partitions) {
          const offset = Number(text);
          if (offset >= 0) commits.set(partitionName({ topic, partition }), { offset, ...readCommitMetadata(offset, metadata) });
        }
      }
    } catch (error) {
      log.warn({ err: error, groupId: this.groupId }, 'what was finished above the committed offsets could not be read');
      void this.close();
    }
    return commits;
  }

  async close(): Promise<void> {
    const admin = this.admin;
    this.admin = undefined;
    await admin?.then((connected) => connected.disconnect()).catch(() => undefined);
  }

  private async connect(): Promise<Admin> {
    const admin = this.kafka.admin();
    await admin.connect();
    return admin;
  }
}
