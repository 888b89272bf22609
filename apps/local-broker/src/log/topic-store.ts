import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './durable-file.js';
import { PartitionLog } from './partition-log.js';
import type { Segment } from './segment.js';

/** What a topic was created with. */
export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  readonly retentionMs: number;
  readonly maxBatchBytes: number;
}

export interface TopicStoreOptions {
  directory: string;
  segmentBytes: number;
  /** Bytes that all topics together may take; the oldest segments go first. */
  retentionBytes: number;
  onNote: (note: string) => void;
}

interface StoredTopic {
  readonly spec: TopicSpec;
  readonly partitions: readonly PartitionLog[];
}

/** The topics and their partitions on disk: `topics.json`, and a directory per partition. */
export class TopicStore {
  readonly #topics = new Map<string, StoredTopic>();
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(private readonly options: TopicStoreOptions) {}

  static async open(options: TopicStoreOptions): Promise<TopicStore> {
    const store = new TopicStore(options);
    for (const spec of await store.#readSpecs()) await store.#openTopic(spec);
    return store;
  }

  get all(): TopicSpec[] {
    return [...this.#topics.values()].map(({ spec }) => spec);
  }

  topic(name: string): TopicSpec | undefined {
    return this.#topics.get(name)?.spec;
  }

  partition(topic: string, partition: number): PartitionLog | undefined {
    return this.#topics.get(topic)?.partitions[partition];
  }

  /** False where a topic of that name exists. */
  async create(spec: TopicSpec): Promise<boolean> {
    const created = this.#changing.then(async () => {
      if (this.#topics.has(spec.name)) return false;
      await replaceFile(this.#specsFile, JSON.stringify([...this.all, spec], null, 2));
      await this.#openTopic(spec);
      return true;
    });
    this.#changing = created.catch(() => undefined);
    return created;
  }

  /** Deletes what is older than its topic keeps, then the oldest of all until the rest fits. */
  async applyRetention(nowMs: number): Promise<void> {
    const kept: { log: PartitionLog; segment: Segment; lastWrittenMs: number }[] = [];
    let bytes = 0;
    for (const { spec, partitions } of this.#topics.values()) {
      for (const log of partitions) {
        const oldestMs = nowMs - spec.retentionMs;
        for (const { segment, lastWrittenMs } of await log.removable(oldestMs)) {
          if (lastWrittenMs < oldestMs) await log.remove(segment);
          else kept.push({ log, segment, lastWrittenMs });
        }
        bytes += log.bytes;
      }
    }
    for (const { log, segment } of kept.toSorted((a, b) => a.lastWrittenMs - b.lastWrittenMs)) {
      if (bytes <= this.options.retentionBytes) break;
      bytes -= segment.bytes;
      await log.remove(segment);
      this.options.onNote(`deleted ${segment.path}: all topics together exceed ${this.options.retentionBytes} bytes`);
    }
  }

  async close(): Promise<void> {
    await this.#changing;
    await Promise.all([...this.#topics.values()].flatMap(({ partitions }) => partitions.map((log) => log.close())));
  }

  get #specsFile(): string {
    return join(this.options.directory, 'topics.json');
  }

  async #readSpecs(): Promise<TopicSpec[]> {
    try {
      return JSON.parse(await readFile(this.#specsFile, 'utf8')) as TopicSpec[];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new Error(`${this.#specsFile} cannot be read`, { cause: error });
    }
  }

  async #openTopic(spec: TopicSpec): Promise<void> {
    const partitions = await Promise.all(
      Array.from({ length: spec.partitions }, async (_, partition) => {
        const directory = join(this.options.directory, spec.name, String(partition));
        const { log, cutBytes } = await PartitionLog.open(directory, {
          segmentBytes: this.options.segmentBytes,
          maxBatchBytes: spec.maxBatchBytes,
        });
        if (cutBytes > 0) this.options.onNote(`${spec.name}/${partition}: cut off ${cutBytes} bytes of a write that a crash had torn`);
        return log;
      }),
    );
    this.#topics.set(spec.name, { spec, partitions });
  }
}
