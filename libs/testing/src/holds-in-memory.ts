import type { Hold, HoldCause, HoldId, HoldStore, LoggedRecord, ReleasableHold } from '#libs/messaging';

interface Held extends HoldId {
  cause: HoldCause;
  causeOffset: number | null;
  retryRequested: boolean;
  readonly records: Map<number, LoggedRecord>;
}

/** A hold store without Postgres, with the dead letters that its holds wait for. It outlives the consumers that a test starts and kills. */
export class HoldsInMemory implements HoldStore {
  private readonly held = new Map<string, Held>();
  private readonly resolutions = new Map<string, 'retried' | 'skipped' | 'replayed'>();

  async hold(group: string, record: LoggedRecord, cause: HoldCause): Promise<boolean> {
    const { topic, partition, offset } = record;
    if (cause !== 'overflow' && this.resolutions.get(cause.deadLetterId) === 'skipped') return false;
    const hold = { group, topic, partition, key: record.key! };
    let held = this.held.get(nameOf(hold));
    if (held === undefined) {
      held = { ...hold, cause, causeOffset: null, retryRequested: false, records: new Map() };
      this.held.set(nameOf(hold), held);
    }
    if (cause !== 'overflow') Object.assign(held, { cause, causeOffset: offset, retryRequested: false });
    if (!held.records.has(offset)) held.records.set(offset, record);
    return true;
  }

  async keep(group: string, record: LoggedRecord): Promise<boolean> {
    const held = this.held.get(nameOf({ ...record, group, key: record.key! }));
    if (held === undefined) return false;
    if (!held.records.has(record.offset)) held.records.set(record.offset, record);
    return true;
  }

  async holdsOf(group: string, partitions: readonly { topic: string; partition: number }[]): Promise<Hold[]> {
    return [...this.held.values()]
      .filter(
        (held) => held.group === group && partitions.some(({ topic, partition }) => topic === held.topic && partition === held.partition),
      )
      .map(({ topic, partition, key, cause }) => ({ group, topic, partition, key, cause }));
  }

  async releasable(group: string, partitions: readonly { topic: string; partition: number }[]): Promise<ReleasableHold[]> {
    const holds = await this.holdsOf(group, partitions);
    return holds.flatMap((hold) => {
      const { cause, causeOffset, retryRequested } = this.held.get(nameOf(hold))!;
      if (cause === 'overflow') return [{ ...hold, dropOffset: null }];
      const resolution = this.resolutions.get(cause.deadLetterId);
      if (resolution === undefined && !retryRequested) return [];
      return [{ ...hold, dropOffset: resolution === 'skipped' ? causeOffset : null }];
    });
  }

  async next(hold: HoldId, limit: number): Promise<LoggedRecord[]> {
    const records = [...(this.held.get(nameOf(hold))?.records.values() ?? [])];
    return records.toSorted((a, b) => a.offset - b.offset).slice(0, limit);
  }

  async finished(hold: HoldId, offset: number): Promise<void> {
    const held = this.held.get(nameOf(hold));
    if (!held?.records.delete(offset) || held.cause === 'overflow' || held.causeOffset !== offset) return;
    if (!this.resolutions.has(held.cause.deadLetterId)) this.resolutions.set(held.cause.deadLetterId, 'retried');
  }

  async close(hold: HoldId): Promise<boolean> {
    if ((this.held.get(nameOf(hold))?.records.size ?? 0) > 0) return false;
    this.held.delete(nameOf(hold));
    return true;
  }

  /** Settles a dead letter, as an operator or a replay does. */
  resolve(deadLetterId: string, resolution: 'skipped' | 'replayed'): void {
    this.resolutions.set(deadLetterId, resolution);
  }

  async requestRetry(_tenant: string, deadLetterId: string): Promise<void> {
    for (const held of this.held.values()) {
      if (held.cause !== 'overflow' && held.cause.deadLetterId === deadLetterId) held.retryRequested = true;
    }
  }

  /** The dead letters of all holds. */
  get deadLetters(): string[] {
    return [...this.held.values()].flatMap(({ cause }) => (cause === 'overflow' ? [] : cause.deadLetterId));
  }

  resolutionOf(deadLetterId: string): string | undefined {
    return this.resolutions.get(deadLetterId);
  }

  get size(): number {
    return this.held.size;
  }
}

function nameOf({ group, topic, partition, key }: HoldId): string {
  return `${group} ${topic}/${partition} ${key.toString('latin1')}`;
}
