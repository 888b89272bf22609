import type { Admin, Kafka } from 'kafkajs';

interface Connection {
  readonly admin: Promise<Admin>;
  /** Calls that have not ended. */
  calls: number;
}

/**
 * The admin client of a process: one connection to each broker for all that asks about topics, offsets and commits. It connects when it is first used,
 * and again after a failure.
 */
export class LazyAdmin {
  private connection: Connection | undefined;

  constructor(private readonly kafka: Kafka) {}

  /** @throws what connecting or `work` threw; the next use makes a new connection, and calls under way end on the old one */
  async use<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const connection = (this.connection ??= { admin: this.connect(), calls: 0 });
    connection.calls += 1;
    try {
      return await work(await connection.admin);
    } catch (error) {
      if (this.connection === connection) this.connection = undefined;
      throw error;
    } finally {
      connection.calls -= 1;
      if (connection.calls === 0 && this.connection !== connection) void disconnect(connection);
    }
  }

  async close(): Promise<void> {
    const { connection } = this;
    this.connection = undefined;
    if (connection !== undefined) await disconnect(connection);
  }

  private async connect(): Promise<Admin> {
    const admin = this.kafka.admin();
    await admin.connect();
    return admin;
  }
}

async function disconnect({ admin }: Connection): Promise<void> {
  await admin.then((connected) => connected.disconnect()).catch(() => undefined);
}
