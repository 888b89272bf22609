import { createHash, randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { identityOf, isAlive } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

/** Another process works in this folder. It is left alone. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';

  constructor(
    readonly directory: string,
    readonly pid: number,
    /** What the holder wrote of itself. */
    readonly note: string,
  ) {
    super(`${directory} is in use by the running process ${pid}. Stop that one first, or use another folder.`);
  }
}

export interface FolderLock {
  release(): void;
}

interface Holder extends ProcessIdentity {
  /** Of one taking of a lock: no two files that were ever written are the same. */
  readonly claim: string;
  readonly note: string;
}

/** The claims of this process: where births are unknown, a file that names this process and is not of them was left by an earlier one. */
const held = new Set<string>();

/** A takeover is a few file operations: whoever is at it for longer is stopped, and counts as the holder. */
const takeoverMs = 2_000;

/**
 * Takes a folder for this process. Node has no file locks, so this is a file that names its holder, which counts only while that very process
 * lives: a killed process leaves nothing to clean up by hand.
 * @param file the lock file
 * @param note what whoever finds the folder taken is told of the holder, in {@link FolderInUse}
 * @throws FolderInUse
 */
export function lockFolder(directory: string, file: string, note = ''): FolderLock {
  const deadline = performance.now() + takeoverMs;
  for (;;) {
    try {
      const outcome = take(file, note);
      if (outcome.kind === 'taken') return outcome.lock;
      if (outcome.kind === 'held' || performance.now() > deadline) throw new FolderInUse(directory, outcome.by.pid, outcome.by.note);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
      throw new Error(`${directory} belongs to another user. Start as that user, or use another folder.`, { cause: error });
    }
    sleep(1);
  }
}

type Outcome =
  | { kind: 'taken'; lock: FolderLock }
  /** By a living process. */
  | { kind: 'held'; by: Holder }
  /** A living process is about to take it over, or has just let go of it: ask again. */
  | { kind: 'moving'; by: Holder };

/**
 * A file appears whole or not at all (`link`), and is removed only by the living process that it names, so what a living process holds is
 * safe. A dead one's file is replaced by whoever holds a second lock, named after exactly that content: among all that saw it dead there is
 * one at a time, and the second one finds the content gone. That lock may be a dead one's too, and is then taken over in the same way.
 */
function take(file: string, note: string): Outcome {
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

/** False where `file` exists. */
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

/** Undefined where the file says nothing: it was cut short by a version that wrote in place, or by a full disk. */
function holderIn(content: string): Holder | undefined {
  try {
    return (JSON.parse(content) as Holder | null) ?? undefined;
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
