import { open, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { replaceFile } from '../log/durable-file.js';

export interface CommittedOffset {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string | null;
}

/** The file is rewritten once it has grown to so many times what is in it. */
const compactAt = 8;

/** The consumer groups' positions: one JSON line per commit, synced before it is acknowledged, the last one per partition counts. */
export class CommittedOffsets {
  readonly #offsets = new Map<string, CommittedOffset>();
  #pending: { lines: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  #writing: Promise<void> | undefined;
  #lines = 0;

  private constructor(
    private readonly path: string,
    private file: FileHandle,
  ) {}

  static async open(path: string): Promise<CommittedOffsets> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const offsets = new CommittedOffsets(path, await open(path, 'a'));
    for (const line of text.split('\n')) offsets.#read(line);
    await offsets.#compact();
    return offsets;
  }

  find(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.#offsets.get(keyOf(group, topic, partition));
  }

  ofGroup(group: string): CommittedOffset[] {
    return [...this.#offsets.values()].filter((offset) => offset.group === group);
  }

  /** Resolves when the commit is on the disk. */
  commit(offsets: readonly CommittedOffset[]): Promise<void> {
    for (const offset of offsets) this.#offsets.set(keyOf(offset.group, offset.topic, offset.partition), offset);
    return new Promise((resolve, reject) => {
      this.#lines += offsets.length;
      this.#pending.push({ lines: offsets.map((offset) => `${JSON.stringify(offset)}\n`).join(''), resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.file.close();
  }

  /** A line that does not parse is the torn end of a commit that was never acknowledged. */
  #read(line: string): void {
    try {
      const offset = JSON.parse(line) as CommittedOffset;
      this.#offsets.set(keyOf(offset.group, offset.topic, offset.partition), offset);
    } catch {
      return;
    }
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const commits = this.#pending;
      this.#pending = [];
      try {
        await this.file.appendFile(commits.map(({ lines }) => lines).join(''));
        await this.file.datasync();
        if (this.#lines > 1_000 && this.#lines > compactAt * this.#offsets.size) await this.#compact();
        for (const { resolve } of commits) resolve();
      } catch (error) {
        for (const { reject } of commits) reject(error);
      }
    }
    this.#writing = undefined;
  }

  async #compact(): Promise<void> {
    await replaceFile(this.path, [...this.#offsets.values()].map((offset) => `${JSON.stringify(offset)}\n`).join(''));
    await this.file.close();
    this.file = await open(this.path, 'a');
    this.#lines = this.#offsets.size;
  }
}

function keyOf(group: string, topic: string, partition: number): string {
  return `${group} ${topic} ${partition}`;
}
