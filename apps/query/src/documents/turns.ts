/**
 * Runs units of work that block the process one after the other, and lets the process do everything else that waits between two of them. Owners take
 * turns, however much one of them asks for.
 */
export class Turns {
  /** The next owner first. */
  private readonly waiting = new Map<string, (() => void)[]>();
  private isRunning = false;

  /** Runs `work` after what its owner asked for before, and after one unit of each other owner that waits. */
  take<T>(owner: string, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const units = this.waiting.get(owner) ?? [];
      units.push(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
      this.waiting.set(owner, units);
      if (!this.isRunning) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    while (this.waiting.size > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      this.takeNext()();
    }
    this.isRunning = false;
  }

  /** The owner goes to the end of the line. */
  private takeNext(): () => void {
    const [owner, units] = this.waiting.entries().next().value!;
    const unit = units.shift()!;
    this.waiting.delete(owner);
    if (units.length > 0) this.waiting.set(owner, units);
    return unit;
  }
}
