/** Runs units of work that block the process one after the other, and lets the process do everything else that waits between two of them. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /** Runs `work` after all that was asked for before. Whoever asks again only when the last is done gets an equal share. */
  take<T>(work: () => T): Promise<T> {
    const result = this.last.then(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return work();
    });
    this.last = result.catch(() => undefined);
    return result;
  }
}
