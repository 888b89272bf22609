import type { Hold, HoldCause, HoldId, HoldStore, LogPosition, LoggedRecord, ReleasableHold } from '#libs/messaging';

interface Held extends HoldId {
  cause: HoldCause;
  causedBy: LogPosition | null;
  retryRequested: boolean;
  readonly records: Map<string, LoggedRecord>;
}

/** A hold store without Postgres, with the dead letters that its holds wait for. It outlives the consumers that a test starts and kills. */
export class HoldsInMemory implements HoldStore {
  /** In the order in which they were first seen. */
  private readonly logs = new Set<string>();
  private readonly held = new Map<string, Held>();
  private readonly resolutions = new Map<string, 'retried' | 'skipped' | 'replayed'>();

  async hold(group: string, record: LoggedRecord, cause: HoldCause): Promise<boolean> {
    const { topic, partition, logId, offset } = record;
    if (cause !== 'overflow' && this.resolutions.get(cause.deadLetterId) === 'skipped') return false;
    const hold = { group, topic, partition, key: record.key! };
    let held = this.held.get(nameOf(hold));
    if (held === undefined) {
      held = { ...hold, cause, causedBy: null, retryRequested: false, records: new Map() };
      this.held.set(nameOf(hold), held);
    }
    if (cause !== 'overflow') Object.assign(held, { cause, causedBy: { logId, offset }, retryRequested: false });
    this.add(held, record);
    return true;
  }

  async keep(group: string, record: LoggedRecord): Promise<boolean> {
    const held = this.held.get(nameOf({ ...record, group, key: record.key! }));
    if (held === undefined) return false;
    this.add(held, record);
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
      const { cause, causedBy, retryRequested } = this.held.get(nameOf(hold))!;
      if (cause === 'overflow') return [{ ...hold, drop: null }];
      const resolution = this.resolutions.get(cause.deadLetterId);
      if (resolution === undefined && !retryRequested) return [];
      return [{ ...hold, drop: resolution === 'skipped' ? causedBy : null }];
    });
  }

  async next(hold: HoldId, limit: number): Promise<LoggedRecord[]> {
    const records = [...(this.held.get(nameOf(hold))?.records.values() ?? [])];
    const logs = [...this.logs];
    return records.toSorted((a, b) => logs.indexOf(a.logId) - logs.indexOf(b.logId) || a.offset - b.offset).slice(0, limit);
  }

  async finished(hold: HoldId, position: LogPosition): Promise<void> {
    const held = this.held.get(nameOf(hold));
    if (!held?.records.delete(placeOf(position)) || held.cause === 'overflow' || held.causedBy === null) return;
    if (placeOf(held.causedBy) !== placeOf(position)) return;
    if (!this.resolutions.has(held.cause.deadLetterId)) this.resolutions.set(held.cause.deadLetterId, 'retried');
  }

  private add(held: Held, record: LoggedRecord): void {
    this.logs.add(record.logId);
    if (!held.records.has(placeOf(record))) held.records.set(placeOf(record), record);
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

function placeOf({ logId, offset }: LogPosition): string {
  return `${logId}/${offset}`;
}

function nameOf({ group, topic, partition, key }: HoldId): string {
  return `${group} ${topic}/${partition} ${key.toString('latin1')}`;
}
