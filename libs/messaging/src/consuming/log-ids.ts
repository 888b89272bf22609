import type { Kafka } from 'kafkajs';
import { LazyAdmin } from '../kafka/lazy-admin.js';
import { fetchLogIds } from '../kafka/topic-ids.js';
import type { LogIdentities } from '../kafka/topic-ids.js';

/** Asks the log which topics it has: a topic that was created anew has the name of the old one, and another id. */
export class LogIds {
  private readonly admin: LazyAdmin;

  constructor(kafka: Kafka) {
    this.admin = new LazyAdmin(kafka);
  }

  /** @throws Error if the log does not respond */
  read(topics: readonly string[]): Promise<LogIdentities> {
    return this.admin.use((admin) => fetchLogIds(admin, topics));
  }

  close(): Promise<void> {
    return this.admin.close();
  }
}
