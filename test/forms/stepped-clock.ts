import { mkdtempSync, openSync, closeSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The wall clock of processes that a test starts. It can be stepped while they run; their monotonic clock goes on as it is. */
export class SteppedClock {
  private readonly directory = mkdtempSync(join(tmpdir(), 'millrace-clock-'));
  private readonly file = join(this.directory, 'offset');
  private readonly open = openSync(this.file, 'w');

  constructor() {
    this.stepTo(0);
  }

  /** The settings of a process that has this clock. */
  get settings(): Record<string, string> {
    const preload = pathToFileURL(join(process.cwd(), 'test/forms/stepped-clock.preload.mjs'));
    preload.searchParams.set('file', this.file);
    return { NODE_OPTIONS: `--import=${preload.href}` };
  }

  /** @param offsetMs how far the clock is ahead of the machine's from now on; below zero: behind */
  stepTo(offsetMs: number): void {
    writeSync(this.open, new Float64Array([offsetMs]), 0, Float64Array.BYTES_PER_ELEMENT, 0);
  }

  dispose(): void {
    closeSync(this.open);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
