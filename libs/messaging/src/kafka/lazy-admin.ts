import type { Admin, Kafka } from 'kafkajs';

/** An admin client that connects when it is first used, and again after a failure. */
export class LazyAdmin {
  private admin: Promise<Admin> | undefined;

  constructor(private readonly kafka: Kafka) {}

  /** @throws what connecting or `work` threw; the next use makes a new connection */
  async use<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    try {
      return await work(await (this.admin ??= this.connect()));
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
