import type { CheckableApiKey } from '#libs/auth';
import { startTimer } from '#libs/time';
import { StorageUnavailable } from './storage.errors.js';

type Asked = PromiseWithResolvers<CheckableApiKey | undefined>;

/** How long one look-up may take. */
const lookupTimeoutMs = 2_000;

/**
 * Looks up keys that are not in memory. One statement runs at a time; ids that are asked for meanwhile share the next one, so unknown keys cost
 * one connection, however many come. Nothing is remembered, so a key is found as soon as it is committed.
 */
export class ApiKeyLookup {
  private waiting = new Map<string, Asked>();
  private running = false;

  /** @param read the active keys among these ids */
  constructor(private readonly read: (ids: readonly string[]) => Promise<CheckableApiKey[]>) {}

  /** @throws StorageUnavailable also when Postgres does not answer within 2 s */
  find(id: string): Promise<CheckableApiKey | undefined> {
    const asked = this.waiting.get(id) ?? Promise.withResolvers<CheckableApiKey | undefined>();
    this.waiting.set(id, asked);
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

  private async settle(batch: ReadonlyMap<string, Asked>): Promise<void> {
    const fail = (error: unknown): void => batch.forEach(({ reject }) => reject(error));
    const timer = startTimer(() => fail(new StorageUnavailable('no answer within 2 s')), lookupTimeoutMs);
    try {
      const keys = await this.read([...batch.keys()]);
      for (const [id, { resolve }] of batch) resolve(keys.find((key) => key.id === id));
    } catch (error) {
      fail(error);
    } finally {
      clearTimeout(timer);
    }
  }
}
