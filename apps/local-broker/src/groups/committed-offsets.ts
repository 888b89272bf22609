import { readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { openFile, replaceFile } from '../log/durable-file.js';
import type { OpenFile } from '../log/durable-file.js';

export interface CommittedOffset {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  /** As the consumer said it: kafkajs also commits -2, for the earliest. */
  readonly offset: number;
  /** The consumer's own note; empty where it made none. */
  readonly metadata: string;
}

/** A line of the file: a commit, or a sign of life of a group. */
type Line = Partial<CommittedOffset> & { readonly group: string; readonly atMs?: number };

/** The file is rewritten once it has grown to so many times what is in it. */
const compactAt = 8;

interface Waiting {
  readonly offsets: readonly CommittedOffset[];
  readonly lines: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The consumer groups' positions: one JSON line per commit, synced before it is acknowledged, the last one per partition counts. */
export class CommittedOffsets {
  private readonly groups = new Map<string, { usedMs: number; readonly offsets: Map<string, CommittedOffset> }>();
  private waiting: Waiting[] = [];
  private writing: Promise<void> | undefined;
  private bytes = 0;
  private lines = 0;

  private constructor(
    private readonly path: string,
    private file: FileHandle,
    private readonly options: { openFile: OpenFile; nowMs: () => number },
  ) {}

  static async open(path: string, options: { openFile?: OpenFile; nowMs?: () => number } = {}): Promise<CommittedOffsets> {
    const { openFile: opens = openFile, nowMs = Date.now } = options;
    await (await opens(path, 'a')).close(); // `r+` writes at a position, and needs the file to exist
    const offsets = new CommittedOffsets(path, await opens(path, 'r+'), { openFile: opens, nowMs });
    await offsets.load();
    return offsets;
  }

  find(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.groups.get(group)?.offsets.get(`${topic} ${partition}`);
  }

  ofGroup(group: string): CommittedOffset[] {
    return [...(this.groups.get(group)?.offsets.values() ?? [])];
  }

  /** Resolves when the commit is on the disk; rejects where it is not, and counts for nothing. */
  commit(offsets: readonly CommittedOffset[]): Promise<void> {
    const atMs = this.options.nowMs();
    return this.append(
      offsets,
      offsets.map((offset) => ({ ...offset, atMs })),
    );
  }

  /** Groups that were last used before then. */
  unusedSince(timeMs: number): string[] {
    return [...this.groups].flatMap(([group, { usedMs }]) => (usedMs < timeMs ? [group] : []));
  }

  /** A group with members is used, also where it has nothing to commit. */
  async used(groups: readonly string[]): Promise<void> {
    const known = groups.filter((group) => this.groups.has(group));
    const atMs = this.options.nowMs();
    await this.append(
      [],
      known.map((group) => ({ group, atMs })),
    );
    for (const group of known) this.use(group, atMs);
  }

  async forget(groups: readonly string[]): Promise<void> {
    await this.writing;
    for (const group of groups) this.groups.delete(group);
    if (groups.length > 0) await this.compact();
  }

  async close(): Promise<void> {
    await this.writing;
    await this.file.close();
  }

  /** What follows the last whole line is the torn end of a commit that was never acknowledged. */
  private async load(): Promise<void> {
    const text = await readFile(this.path, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    for (const line of whole.split('\n')) this.read(line);
    this.bytes = Buffer.byteLength(whole);
    if (whole.length < text.length) await this.file.truncate(this.bytes);
  }

  /** A line that does not parse was torn by a disk that was full; the commit after it was written behind it, whole. */
  private read(text: string): void {
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch {
      return;
    }
    this.lines += 1;
    const { group, topic, partition, offset, metadata, atMs = this.options.nowMs() } = line;
    this.use(group, atMs);
    if (topic === undefined || partition === undefined || offset === undefined) return;
    this.remember({ group, topic, partition, offset, metadata: metadata ?? '' });
  }

  private use(group: string, atMs: number): void {
    const known = this.groups.get(group);
    if (known === undefined) this.groups.set(group, { usedMs: atMs, offsets: new Map() });
    else known.usedMs = Math.max(known.usedMs, atMs);
  }

  private remember(offset: CommittedOffset): void {
    this.groups.get(offset.group)!.offsets.set(`${offset.topic} ${offset.partition}`, offset);
  }

  private append(offsets: readonly CommittedOffset[], lines: readonly Line[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.lines += lines.length;
      this.waiting.push({ offsets, lines: lines.map((line) => `${JSON.stringify(line)}\n`).join(''), resolve, reject });
      this.writing ??= this.write();
    });
  }

  private async write(): Promise<void> {
    while (this.waiting.length > 0) {
      const commits = this.waiting;
      this.waiting = [];
      try {
        await this.store(Buffer.from(commits.map(({ lines }) => lines).join('')));
      } catch (error) {
        for (const { reject } of commits) reject(error);
        continue;
      }
      const atMs = this.options.nowMs();
      for (const { offsets } of commits) {
        for (const offset of offsets) {
          this.use(offset.group, atMs);
          this.remember(offset);
        }
      }
      // Only tidiness: where it fails, the longer file says the same.
      if (this.lines > 1_000 && this.lines > compactAt * this.size) await this.compact().catch(() => undefined);
      for (const { resolve } of commits) resolve();
    }
    this.writing = undefined;
  }

  /** Where it throws, the next write takes the place of this one. */
  private async store(data: Buffer): Promise<void> {
    for (let written = 0; written < data.length;) {
      written += (await this.file.write(data, written, data.length - written, this.bytes + written)).bytesWritten;
    }
    await this.file.datasync();
    this.bytes += data.length;
  }

  private get size(): number {
    let size = 0;
    for (const { offsets } of this.groups.values()) size += offsets.size;
    return size;
  }

  private async compact(): Promise<void> {
    const lines = [...this.groups].flatMap(([group, { usedMs, offsets }]) => [
      ...[...offsets.values()].map((offset): Line => ({ ...offset, atMs: usedMs })),
      ...(offsets.size === 0 ? [{ group, atMs: usedMs }] : []),
    ]);
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    await replaceFile(this.path, text, this.options.openFile);
    await this.file.close();
    this.file = await this.options.openFile(this.path, 'r+');
    this.bytes = Buffer.byteLength(text);
    this.lines = lines.length;
  }
}
