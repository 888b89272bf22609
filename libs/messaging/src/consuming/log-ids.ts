import type { Admin, Kafka } from 'kafkajs';
import { fetchLogIds } from '../kafka/topic-ids.js';

/** Asks the log which topics it has: a topic that was created anew has the name of the old one, and another id. */
export class LogIds {
  private admin: Promise<Admin> | undefined;

  constructor(private readonly kafka: Kafka) {}

  /** @returns the ids by topic name @throws Error if the log does not respond */
  async read(topics: readonly string[]): Promise<Map<string, string>> {
    try {
      const admin = await (this.admin ??= this.connect());
      return await fetchLogIds(admin, topics);
    } catch (error) {
      void this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const admin = this.admin;
    this.admin = undefined;
    await admin?.then((connected) => connected.disconnect()).catch(() => undefined);
  }

  private async connect(): Promise<Admin> {
    const admin = this.kafka.admin();
    await admin.connect();
    return admin;
  }
}
