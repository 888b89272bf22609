import { statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { startTimer } from '#libs/time';

/** An editor that saves a file changes it several times. */
const settledAfterMs = 100;

/** The files that a test was read from, each as old as it was then. */
export class FileChanges {
  private readonly seen = new Map<string, number | undefined>();

  /** Notes a file that is about to be read, and returns its path. */
  noted(file: string): string {
    this.seen.set(file, ageOf(file));
    return file;
  }

  get files(): string[] {
    return [...this.seen.keys()];
  }

  /** Resolves when one of the files is another one than was read, and rests, or the signal is aborted. Folders are watched, because editors replace files. */
  async next(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let timer: NodeJS.Timeout | undefined;
    const look = (): void => {
      clearTimeout(timer);
      timer = startTimer(() => this.hasChanged() && resolve(), settledAfterMs);
    };
    const watchers = [...new Set(this.files.map((file) => dirname(file)))].map((directory) => watch(directory, look));
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
    look(); // a change since the file was read, before it was watched
    await promise;
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  }

  private hasChanged(): boolean {
    return [...this.seen].some(([file, age]) => ageOf(file) !== age);
  }
}

function ageOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}
