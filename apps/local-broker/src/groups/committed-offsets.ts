import { readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { parseStoredJson } from '#libs/json';
import { wallTimeMs } from '#libs/time';
import { openFile, replaceFile } from '../log/durable-file.js';
import type { OpenFile } from '../log/durable-file.js';

export interface CommittedOffset {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  /** The offset as the consumer committed it: kafkajs also commits -2, for the earliest. */
  readonly offset: number;
  /** The consumer's own text; empty if it sent none. */
  readonly metadata: string;
}

/** A line of the file: a commit, or only the time at which a group was in use. */
type Line = Partial<CommittedOffset> & { readonly group: string; readonly atMs?: number };

/** The file is rewritten when it has this many lines per stored offset. */
const compactAt = 8;

interface PendingAppend {
  readonly offsets: readonly CommittedOffset[];
  readonly lines: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The committed offsets of all consumer groups: one JSON line per offset, synced before the commit is acknowledged. The last line per partition counts. */
export class CommittedOffsets {
  private readonly groups = new Map<string, { usedMs: number; readonly offsets: Map<string, CommittedOffset> }>();
  private waiting: PendingAppend[] = [];
  private writing: Promise<void> | undefined;
  private bytes = 0;
  private lines = 0;

  private constructor(
    private readonly path: string,
    private file: FileHandle,
    private readonly options: { openFile: OpenFile; nowMs: () => number },
  ) {}

  static async open(path: string, options: { openFile?: OpenFile; nowMs?: () => number } = {}): Promise<CommittedOffsets> {
    const { openFile: opens = openFile, nowMs = wallTimeMs } = options;
    await (await opens(path, 'a')).close(); // `r+` writes at a position, and needs the file to exist
    const offsets = new CommittedOffsets(path, await opens(path, 'r+'), { openFile: opens, nowMs });
    await offsets.load();
    return offsets;
  }

  find(group: string, topic: string, partition: number): CommittedOffset | undefined {
    return this.groups.get(group)?.offsets.get(`${topic} ${partition}`);
  }

  groupNames(): string[] {
    return [...this.groups].flatMap(([group, { offsets }]) => (offsets.size === 0 ? [] : [group]));
  }

  ofGroup(group: string): CommittedOffset[] {
    return [...(this.groups.get(group)?.offsets.values() ?? [])];
  }

  /** Resolves when the commit is on the disk. If it rejects, the commit has no effect. */
  commit(offsets: readonly CommittedOffset[]): Promise<void> {
    const atMs = this.options.nowMs();
    return this.append(
      offsets,
      offsets.map((offset) => ({ ...offset, atMs })),
    );
  }

  /** Groups that were last used before `timeMs`. */
  unusedSince(timeMs: number): string[] {
    return [...this.groups].flatMap(([group, { usedMs }]) => (usedMs < timeMs ? [group] : []));
  }

  /** Notes that these groups have members, which counts as use even without a commit. */
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

  /** Reads the file and cuts off a torn last line: its commit was never acknowledged. */
  private async load(): Promise<void> {
    const text = await readFile(this.path, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    for (const line of whole.split('\n')) this.read(line);
    this.bytes = Buffer.byteLength(whole);
    if (whole.length < text.length) await this.file.truncate(this.bytes);
  }

  /** Skips a line that does not parse: a full disk tore it, and the next commit was written whole behind it. */
  private read(text: string): void {
    let line: Line;
    try {
      line = parseStoredJson(text) as Line;
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
      // Compaction is optional: if it fails, the longer file has the same content.
      if (this.lines > 1_000 && this.lines > compactAt * this.size) await this.compact().catch(() => undefined);
      for (const { resolve } of commits) resolve();
    }
    this.writing = undefined;
  }

  /** Writes and syncs. After a failure, the next write overwrites this one. */
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
