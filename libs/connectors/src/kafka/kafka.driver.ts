import type { ConnectionHealth, OperationResult } from '../connector.js';
import type { Driver, DriverCall, DriverTools, DriverUse } from '../driver.js';
import { Sessions } from '../sessions.js';
import { recordOf } from './kafka.record.js';
import { KafkaSession } from './kafka.session.js';

/** Appends records over sessions that are kept for a while: a new one takes three connections' worth of questions before its first record. */
export class KafkaDriver implements Driver {
  private readonly sessions: Sessions<KafkaSession>;

  constructor({ http }: DriverTools) {
    const kind = {
      open: (use: DriverUse) => KafkaSession.open(use, http),
      close: (session: KafkaSession) => session.close(),
      isUsable: (session: KafkaSession) => session.isUsable,
    };
    this.sessions = new Sessions(kind, { idleMs: 30_000, mostIdle: 4 });
  }

  async run(call: DriverCall): Promise<OperationResult> {
    const record = recordOf(call);
    return this.sessions.use(call, async (session) => {
      const { partition, offset, timestampMs } = await session.produce(record, call);
      const { topic } = record;
      return {
        output: { topic, partition, offset, timestamp: new Date(timestampMs).toISOString() },
        receipt: { summary: `offset ${offset} in partition ${partition} of ${topic}`, detail: {} },
      };
    });
  }

  /** Logs in, reads metadata, and connects to every broker: one that nobody can reach is found before a record needs it. */
  async check(use: DriverUse): Promise<ConnectionHealth> {
    const topics = (use.settings['topics'] ?? []) as readonly string[];
    return this.sessions.use(use, async (session) => {
      await session.look(topics, use.signal);
      return { account: use.login.username };
    });
  }

  async close(): Promise<void> {
    await this.sessions.close();
  }
}
