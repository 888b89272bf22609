import { statement } from '#libs/persistence';
import type { Database } from '#libs/persistence';

const register = statement(
  'logIdentity.register',
  `WITH registered AS (
     INSERT INTO log_identity (topic, log_id, number)
     SELECT $1::key_text, $2::key_text, coalesce(max(number), 0) + 1 FROM log_identity WHERE topic = $1
     ON CONFLICT DO NOTHING RETURNING number)
   SELECT number FROM registered UNION SELECT number FROM log_identity WHERE topic = $1 AND log_id = $2`,
);

/** The log of records that were held before logs had identities: its id is empty. */
const unknownLog = 0;

/** The table `log_identity`: numbers the logs that a topic has had, so that the records of an older one sort before those of a newer one. */
export class LogIdentityTable {
  private readonly numbers = new Map<string, Promise<number>>();

  constructor(private readonly database: Database) {}

  /** @throws StorageUnavailable */
  numberOf({ topic, logId }: { topic: string; logId: string }): Promise<number> {
    if (logId === '') return Promise.resolve(unknownLog);
    const name = `${topic} ${logId}`;
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    const asked = this.register(topic, logId);
    this.numbers.set(name, asked);
    asked.catch(() => this.numbers.delete(name));
    return asked;
  }

  private async register(topic: string, logId: string): Promise<number> {
    for (;;) {
      const [row] = await this.database.query<{ number: number }>(register, [topic, logId]);
      if (row !== undefined) return row.number; // otherwise another process registered at the same moment
    }
  }
}
