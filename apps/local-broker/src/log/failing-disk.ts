import { open, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

type FileChange = { position: number; data: Buffer } | { truncatedTo: number };

/** A file as of its last sync, and the changes since then, which a power cut may lose. */
interface TrackedFile {
  synced: Buffer;
  unsynced: FileChange[];
}

/**
 * A disk for tests, over real files. It can be full, and it can lose power: then each write since the last sync of its file is kept, kept in
 * part, or lost.
 */
export class FailingDisk {
  /** Number of writes and syncs so far. */
  operations = 0;
  /** The power is lost before this operation; it and all later ones fail. */
  powerCutAt = Infinity;
  /** Bytes that can still be written. */
  freeBytes = Infinity;
  private readonly files = new Map<string, TrackedFile>();

  readonly openFile = async (path: string, flags: string): Promise<FileHandle> => {
    const handle = await open(path, flags);
    if (!this.files.has(path)) this.files.set(path, { synced: await contentOf(path), unsynced: [] });
    return this.tracked(handle, path, this.files.get(path)!);
  };

  /** Replaces the files with what a power cut may leave of them. @param random in [0, 1) */
  async losePower(random: () => number): Promise<void> {
    for (const [path, { synced, unsynced }] of this.files) {
      await writeFile(
        path,
        unsynced.reduce((content, change) => afterChange(content, change, random), synced),
      );
    }
    this.files.clear();
  }

  private tracked(handle: FileHandle, path: string, file: TrackedFile): FileHandle {
    const write = async (data: Buffer, position: number): Promise<number> => {
      this.beat();
      const taken = data.subarray(0, this.freeBytes);
      if (taken.length === 0 && data.length > 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      this.freeBytes -= taken.length;
      file.unsynced.push({ position, data: Buffer.from(taken) });
      return (await handle.write(taken, 0, taken.length, position)).bytesWritten;
    };
    const sync = async (): Promise<void> => {
      this.beat();
      file.synced = await contentOf(path);
      file.unsynced = [];
    };
    const changes = {
      write: async (data: Buffer, offset: number, length: number, position: number) => ({
        bytesWritten: await write(data.subarray(offset, offset + length), position),
      }),
      writev: async (parts: readonly Buffer[], position: number) => ({ bytesWritten: await write(Buffer.concat(parts), position) }),
      writeFile: async (text: string) => void (await write(Buffer.from(text), 0)),
      truncate: async (bytes: number) => {
        this.beat();
        file.unsynced.push({ truncatedTo: bytes });
        await handle.truncate(bytes);
      },
      datasync: sync,
      sync,
    };
    return new Proxy(handle, {
      get: (target, name) => {
        const value: unknown = Reflect.get(changes, name) ?? Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  private beat(): void {
    this.operations += 1;
    if (this.operations >= this.powerCutAt) throw new Error('the power is gone');
  }
}

function afterChange(content: Buffer, change: FileChange, random: () => number): Buffer {
  const fate = random();
  if (fate < 0.3) return content;
  if ('truncatedTo' in change) return content.subarray(0, change.truncatedTo);
  const { data, position } = change;
  const kept = fate < 0.6 ? data.subarray(0, Math.floor(random() * (data.length + 1))) : data;
  const after = Buffer.alloc(Math.max(content.length, position + kept.length));
  content.copy(after);
  kept.copy(after, position);
  return after;
}

async function contentOf(path: string): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
