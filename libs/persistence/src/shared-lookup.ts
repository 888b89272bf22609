import { startTimer } from '#libs/time';
import { StorageUnavailable } from './storage.errors.js';

/** How long one look-up may take. */
const lookupTimeoutMs = 2_000;

/**
 * Looks up what is not in memory. One statement runs at a time; keys that are asked for meanwhile share the next one, so unknown keys cost one
 * connection, however many come. Nothing is remembered, so a value is found as soon as it is committed.
 */
export class SharedLookup<Value> {
  private waiting = new Map<string, PromiseWithResolvers<Value | undefined>>();
  private running = false;

  /** @param read the values that these keys have, by key */
  constructor(private readonly read: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>) {}

  /** @throws StorageUnavailable also when Postgres does not answer within 2 s */
  find(key: string): Promise<Value | undefined> {
    const asked = this.waiting.get(key) ?? Promise.withResolvers<Value | undefined>();
    this.waiting.set(key, asked);
    if (!this.running) void this.run();
    return asked.promise;
  }

  private async run(): Promise<void> {
    this.running = true;
    while (this.waiting.size > 0) {
      const batch = this.waiting;
      this.waiting = new Map();
      await this.settle(batch);
    }
    this.running = false;
  }

  private async settle(batch: ReadonlyMap<string, PromiseWithResolvers<Value | undefined>>): Promise<void> {
    const fail = (error: unknown): void => batch.forEach(({ reject }) => reject(error));
    const timer = startTimer(() => fail(new StorageUnavailable('no answer within 2 s')), lookupTimeoutMs);
    try {
      const found = await this.read([...batch.keys()]);
      for (const [key, { resolve }] of batch) resolve(found.get(key));
    } catch (error) {
      fail(error);
    } finally {
      clearTimeout(timer);
    }
  }
}
