import { createHash, randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { parseStoredJson } from '#libs/json';
import { identityOf, isAlive } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

/** Another running process has the lock of this folder. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';

  constructor(
    readonly directory: string,
    readonly pid: number,
    /** The note that the holder wrote into its lock. */
    readonly note: string,
  ) {
    super(`${directory} is in use by the running process ${pid}. Stop that one first, or use another folder.`);
  }
}

export interface FolderLock {
  release(): void;
}

interface Holder extends ProcessIdentity {
  /** Unique per attempt to take a lock, so that no two lock files have the same content. */
  readonly claim: string;
  readonly note: string;
}

/** The claims of this process. If process start times are unknown, a file with this pid and another claim was left by an earlier process. */
const held = new Set<string>();

/** A takeover is a few file operations. A process that takes longer is suspended, and counts as the holder. */
const takeoverMs = 2_000;

/**
 * Locks a folder for this process. Node has no file locks, so the lock is a file that names its holder and counts only while that process
 * lives: a killed process leaves nothing to clean up by hand.
 * @param file the lock file
 * @param note text about the holder, for the {@link FolderInUse} that other processes get
 * @throws FolderInUse
 */
export function lockFolder(directory: string, file: string, note = ''): FolderLock {
  const deadline = performance.now() + takeoverMs;
  for (;;) {
    try {
      const result = take(file, note);
      if (result.kind === 'taken') return result.lock;
      if (result.kind === 'held' || performance.now() > deadline) throw new FolderInUse(directory, result.by.pid, result.by.note);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
      throw new Error(`${directory} belongs to another user. Start as that user, or use another folder.`, { cause: error });
    }
    sleep(1);
  }
}

type TakeResult =
  | { kind: 'taken'; lock: FolderLock }
  /** A living process has the lock. */
  | { kind: 'held'; by: Holder }
  /** A living process is about to take it over, or has just released it: try again. */
  | { kind: 'moving'; by: Holder };

/**
 * A lock file appears whole or not at all (`link`), and only the living process that it names removes it, so the lock of a living process is
 * safe. The file of a dead process is replaced under a second lock, named after the content of the file: of all processes that saw the holder
 * dead, one at a time has this lock, and the next one finds the content changed. A second lock of a dead process is taken over the same way.
 */
function take(file: string, note: string): TakeResult {
  const claim = randomUUID();
  const draft = `${file}.${claim}`;
  const holder: Holder = { ...identityOf(process.pid), claim, note };
  writeFileSync(draft, JSON.stringify(holder), { flag: 'wx' });
  try {
    if (linked(draft, file)) return { kind: 'taken', lock: holding(file, claim) };
    const found = contentOf(file);
    if (found === undefined) return { kind: 'moving', by: holder };
    const by = holderIn(found);
    if (by !== undefined && isHeld(by)) return { kind: 'held', by };
    const takeover = take(`${file}.${createHash('sha256').update(found).digest('hex').slice(0, 16)}`, note);
    if (takeover.kind !== 'taken') return { kind: 'moving', by: takeover.by };
    try {
      if (contentOf(file) !== found) return { kind: 'moving', by: holder };
      renameSync(draft, file);
      return { kind: 'taken', lock: holding(file, claim) };
    } finally {
      takeover.lock.release();
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

function holding(file: string, claim: string): FolderLock {
  held.add(claim);
  return {
    release: () => {
      if (held.delete(claim)) rmSync(file, { force: true });
    },
  };
}

/** @returns false if `file` exists */
function linked(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Undefined if the file does not parse: a full disk, or a version that wrote in place, cut it short. */
function holderIn(content: string): Holder | undefined {
  try {
    return (parseStoredJson(content) as Holder | null) ?? undefined;
  } catch {
    return undefined;
  }
}

function isHeld(holder: Holder): boolean {
  if (!isAlive(holder)) return false;
  return holder.birth !== null || holder.pid !== process.pid || held.has(holder.claim);
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
