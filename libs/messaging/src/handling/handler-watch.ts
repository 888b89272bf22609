import { gauge, logger } from '#libs/tracing';
import type { LoggedRecord } from '../logged-record.js';

/** A handler neither resolved nor rejected within twice its deadline, and never will: only a new process can handle the record. */
export class HandlerStuck extends Error {
  override readonly name = 'HandlerStuck';

  constructor(group: string, { topic, partition, offset }: LoggedRecord, ms: number) {
    super(`The handler of ${topic}/${partition}/${offset} in group ${group} has not ended for ${Math.round(ms / 1_000)} s`);
  }
}

const log = logger('messaging');
const oldest = gauge('millrace_oldest_handler_seconds', 'How long the record that is longest at work has been.', ['group']);

/**
 * Watches for handlers that never end. Heartbeats come from the fetch loop and prove nothing about them: without a watch, the customer would
 * wait for ever, and its partition as soon as its span is used up.
 */
export class HandlerWatch {
  /** In the order of their starts. */
  private readonly atWork = new Map<LoggedRecord, number>();
  private reported: LoggedRecord | undefined;

  /**
   * @param deadlineMs of one attempt: reported and unready after it, stuck after twice of it
   * @param now in ms; default: the monotonic clock
   */
  constructor(
    private readonly group: string,
    private readonly deadlineMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  async during<T>(record: LoggedRecord, work: () => Promise<T>): Promise<T> {
    this.atWork.set(record, this.now());
    try {
      return await work();
    } finally {
      this.atWork.delete(record);
    }
  }

  /** Why this process should get no more work; undefined where nothing is overdue. */
  get fault(): string | undefined {
    const { record, ms } = this.oldest();
    if (record === undefined || ms < this.deadlineMs) return undefined;
    return `is at ${record.topic}/${record.partition}/${record.offset} since ${Math.round(ms / 1_000)} s`;
  }

  /** @throws HandlerStuck where a handler has had twice its deadline */
  check(): void {
    const { record, ms } = this.oldest();
    oldest.set({ group: this.group }, ms / 1_000);
    if (record === undefined || ms < this.deadlineMs) return;
    const { topic, partition, offset } = record;
    if (this.reported !== record) log.error({ group: this.group, topic, partition, offset, ms }, 'a handler is overdue');
    this.reported = record;
    if (ms >= 2 * this.deadlineMs) throw new HandlerStuck(this.group, record, ms);
  }

  private oldest(): { record?: LoggedRecord; ms: number } {
    for (const [record, since] of this.atWork) return { record, ms: this.now() - since };
    return { ms: 0 };
  }
}
