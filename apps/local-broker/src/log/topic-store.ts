import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseStoredJson } from '#libs/json';
import { wallTimeMs } from '#libs/time';
import { openFile, replaceFile } from './durable-file.js';
import type { OpenFile } from './durable-file.js';
import { GroupCommit } from './group-commit.js';
import { Journal } from './journal.js';
import { PartitionLog } from './partition-log.js';

/** Name and settings of a topic: https://kafka.apache.org/documentation/#topicconfigs */
export interface TopicSpec {
  readonly name: string;
  /** 16 bytes, base64url. A topic that is created anew under the same name has another one. */
  readonly id: string;
  readonly partitions: number;
  /** -1: unlimited. */
  readonly retentionMs: number;
  /** Size limit of one partition; -1: unlimited. */
  readonly retentionBytes: number;
  readonly segmentMs: number;
  readonly segmentBytes: number;
  readonly maxBatchBytes: number;
  /** How far the timestamp of a record may be ahead of the clock, ms. */
  readonly maxAheadMs: number;
  /** How far it may be behind. */
  readonly maxBehindMs: number;
}

function newTopicId(): string {
  return randomBytes(16).toString('base64url');
}

/** Kafka's defaults, except for smaller segments: many small partitions share a laptop's disk, and only whole segments are deleted. */
export const topicDefaults = {
  retentionMs: 7 * 86_400_000,
  retentionBytes: -1,
  segmentMs: 7 * 86_400_000,
  segmentBytes: 16 * 1_048_576,
  maxBatchBytes: 1_048_588,
  maxAheadMs: 3_600_000,
  maxBehindMs: Number.MAX_SAFE_INTEGER,
};

export interface TopicStoreOptions {
  directory: string;
  /** Size limit of all topics together; the oldest segments are deleted first. */
  retentionBytes: number;
  /** Size of each of the journal's two files. Up to about twice as much waits in memory. Default 16 MiB. */
  journalBytes?: number;
  /** Receives notes for the operator. */
  onNote: (note: string, error?: unknown) => void;
  openFile?: OpenFile;
  nowMs?: () => number;
}

type StoredSpec = Partial<TopicSpec> & Pick<TopicSpec, 'name' | 'partitions'>;

interface StoredTopic {
  readonly spec: TopicSpec;
  readonly partitions: readonly PartitionLog[];
}

/** The topics and their partitions on disk: `topics.json`, a directory per partition, and the journal they share. */
export class TopicStore {
  private readonly topics = new Map<string, StoredTopic>();
  private readonly commits: GroupCommit;
  private readonly openFile: OpenFile;
  private readonly nowMs: () => number;
  private changing: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly options: TopicStoreOptions,
    private readonly journal: Journal,
  ) {
    this.openFile = options.openFile ?? openFile;
    this.nowMs = options.nowMs ?? wallTimeMs;
    this.commits = new GroupCommit(journal, options.onNote, () => this.applyCap());
  }

  static async open(options: TopicStoreOptions): Promise<TopicStore> {
    const { directory, journalBytes = 16 * 1_048_576 } = options;
    const journal = await Journal.open(join(directory, 'journal'), journalBytes, options.openFile ?? openFile);
    const store = new TopicStore(options, journal);
    const stored = await store.readSpecs();
    const specs = stored.map((spec): TopicSpec => ({ ...topicDefaults, id: newTopicId(), ...spec }));
    if (stored.some(({ id }) => id === undefined)) await store.writeSpecs(specs); // of a version before there were ids
    for (const spec of specs) await store.openTopic(spec);
    await store.recover();
    return store;
  }

  get all(): TopicSpec[] {
    return [...this.topics.values()].map(({ spec }) => spec);
  }

  topic(name: string): TopicSpec | undefined {
    return this.topics.get(name)?.spec;
  }

  partition(topic: string, partition: number): PartitionLog | undefined {
    return this.topics.get(topic)?.partitions[partition];
  }

  /** @returns false if a topic of that name exists */
  async create(wanted: Omit<TopicSpec, 'id'>): Promise<boolean> {
    const created = this.changing.then(async () => {
      if (this.topics.has(wanted.name)) return false;
      const spec = { ...wanted, id: newTopicId() };
      await this.writeSpecs([...this.all, spec]);
      await this.openTopic(spec);
      return true;
    });
    this.changing = created.catch(() => undefined);
    return created;
  }

  /**
   * Deletes whole segments: those older than their topic's retention, those beyond their topic's size, and then the oldest of all until the
   * rest fits. As in Kafka, it makes no difference whether they were read.
   */
  async applyRetention(): Promise<void> {
    await this.commits.settle(); // batches may have expired while they were only in the journal
    for (const { spec, partitions } of this.topics.values()) {
      for (const log of partitions) await this.applyTopicRetention(spec, log);
    }
    await this.applyCap();
  }

  async close(): Promise<void> {
    await this.changing;
    const partitions = [...this.topics.values()].flatMap((topic) => topic.partitions);
    for (const log of partitions) log.refuseAppends();
    try {
      await this.commits.close();
    } finally {
      await Promise.all(partitions.map((log) => log.close()));
      await this.journal.close();
    }
  }

  private get specsFile(): string {
    return join(this.options.directory, 'topics.json');
  }

  private async applyTopicRetention({ retentionMs, retentionBytes }: TopicSpec, log: PartitionLog): Promise<void> {
    if (retentionMs >= 0) await log.deleteOldest(({ maxTimestampMs }) => this.nowMs() - maxTimestampMs > retentionMs);
    if (retentionBytes < 0) return;
    let excess = log.bytes - retentionBytes;
    await log.deleteOldest(({ bytes }) => {
      excess -= bytes;
      return excess >= 0;
    });
  }

  private async applyCap(): Promise<void> {
    const logs = [...this.topics.values()].flatMap(({ partitions }) => partitions);
    for (let bytes = sumOfBytes(logs); bytes > this.options.retentionBytes; bytes = sumOfBytes(logs)) {
      const { log, segment } = oldestIn(logs);
      const deleted = await log.deleteOldest((candidate) => candidate === segment);
      if (deleted.length === 0) return; // another call has deleted it
      this.options.onNote(
        `deleted ${segment.path}, ${segment.bytes} bytes, before its time and whether or not it was read: all topics together exceed ${this.options.retentionBytes} bytes`,
      );
    }
  }

  private async writeSpecs(specs: readonly TopicSpec[]): Promise<void> {
    await replaceFile(this.specsFile, JSON.stringify(specs, null, 2), this.openFile);
  }

  private async readSpecs(): Promise<StoredSpec[]> {
    try {
      return parseStoredJson(await readFile(this.specsFile, 'utf8')) as StoredSpec[];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new Error(`${this.specsFile} cannot be read`, { cause: error });
    }
  }

  private async openTopic(spec: TopicSpec): Promise<void> {
    const partitions = await Promise.all(
      Array.from({ length: spec.partitions }, async (_, partition) => {
        const { log, cutBytes } = await PartitionLog.open({
          topic: spec.name,
          partition,
          directory: join(this.options.directory, spec.name, String(partition)),
          segmentBytes: spec.segmentBytes,
          segmentMs: spec.segmentMs,
          maxBatchBytes: spec.maxBatchBytes,
          maxAheadMs: spec.maxAheadMs,
          maxBehindMs: spec.maxBehindMs,
          openFile: this.openFile,
          nowMs: this.nowMs,
          commit: (batch) => this.commits.commit(batch),
        });
        if (cutBytes > 0) this.options.onNote(`${spec.name}/${partition}: cut off ${cutBytes} bytes of a write that a crash had torn`);
        return log;
      }),
    );
    this.topics.set(spec.name, { spec, partitions });
  }

  /** Adds the batches to the partitions that are only in the journal. */
  private async recover(): Promise<void> {
    let batches = 0;
    for (const { topic, partition, batch } of await this.journal.entries()) {
      const log = this.partition(topic, partition);
      if (log === undefined) continue; // the topic was deleted by hand
      const { added, gap } = await log.recovered(batch);
      if (added) this.commits.recovered(log);
      if (added) batches += 1;
      if (gap) this.options.onNote(`${topic}/${partition}: records are missing in its files; it goes on where the journal does`);
    }
    await this.commits.settle();
    await this.journal.clear();
    if (batches > 0)
      this.options.onNote(`brought ${batches} batches from the journal into their partitions: the broker had not been stopped`);
  }
}

function sumOfBytes(logs: readonly PartitionLog[]): number {
  return logs.reduce((sum, log) => sum + log.bytes, 0);
}

/** Throws if all logs are empty; callers check that they have bytes. */
function oldestIn(logs: readonly PartitionLog[]) {
  return logs
    .flatMap((log) => (log.oldest === undefined ? [] : [{ log, segment: log.oldest }]))
    .reduce((one, other) => (other.segment.maxTimestampMs < one.segment.maxTimestampMs ? other : one));
}
