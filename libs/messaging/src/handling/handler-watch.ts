import { gauge, logger } from '#libs/tracing';
import type { LoggedRecord } from '../logged-record.js';

/** A handler did not end within twice its deadline. Only a new process can handle its record. */
export class HandlerStuck extends Error {
  override readonly name = 'HandlerStuck';

  constructor(group: string, { topic, partition, offset }: LoggedRecord, ms: number) {
    super(`The handler of ${topic}/${partition}/${offset} in group ${group} has not ended for ${Math.round(ms / 1_000)} s`);
  }
}

const log = logger('messaging');
const oldest = gauge('millrace_oldest_handler_seconds', 'How long the record that is longest at work has been.', {
  group: 'the consumer group',
});

/**
 * Watches for handlers that never end. The heartbeats of the fetch loop do not show them. Without this watch, the customer would wait for ever,
 * and its whole partition once the limit of the span is reached.
 */
export class HandlerWatch {
  /** Start times by record, oldest first. */
  private readonly atWork = new Map<LoggedRecord, number>();
  private reported: LoggedRecord | undefined;

  /**
   * @param deadlineMs time limit of one attempt: beyond it the process is unready, beyond twice of it the handler is stuck
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

  /** The reason why this process is unready; undefined if no handler is overdue. */
  get fault(): string | undefined {
    const { record, ms } = this.oldest();
    if (record === undefined || ms < this.deadlineMs) return undefined;
    return `is at ${record.topic}/${record.partition}/${record.offset} since ${Math.round(ms / 1_000)} s`;
  }

  /** @throws HandlerStuck if a handler has run for twice its deadline */
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
