import { FairQueue } from '#libs/queues';

/**
 * Runs units of work that block the process one after the other, and lets the process do everything else that waits between two of them. Owners take
 * turns, however much one of them asks for.
 */
export class Turns {
  private readonly waiting = new FairQueue<() => void>();
  private isRunning = false;

  /** Runs `work` after what its owner asked for before, and after one unit of each other owner that waits. */
  take<T>(owner: string, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.waiting.push(owner, () => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
      if (!this.isRunning) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    while (!this.waiting.isEmpty) {
      await new Promise((resolve) => setImmediate(resolve));
      this.waiting.shift()!();
    }
    this.isRunning = false;
  }
}
