import type { LazyAdmin } from '../kafka/lazy-admin.js';
import { fetchLogIds } from '../kafka/topic-ids.js';
import type { LogIdentities } from '../kafka/topic-ids.js';

/** Asks the log which topics it has: a topic that was created anew has the name of the old one, and another id. */
export class LogIds {
  constructor(private readonly admin: LazyAdmin) {}

  /** @throws Error if the log does not respond */
  read(topics: readonly string[]): Promise<LogIdentities> {
    return this.admin.use((admin) => fetchLogIds(admin, topics));
  }
}
