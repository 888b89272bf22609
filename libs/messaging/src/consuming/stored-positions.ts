import { Periodically } from '#libs/work';
import { waitAtMost } from '#libs/time';
import type { HandlerGroup } from '../handling/handler-groups.js';
import { partitionName } from '../logged-record.js';
import type { TopicPartition } from '../logged-record.js';
import type { GroupConsumer } from './group-consumer.js';

/** A place in a partition below which a group has finished every record. */
export interface GroupPosition extends TopicPartition {
  /** The name of the group without the prefix. */
  readonly group: string;
  /** The identity of the log that the offset counts in. */
  readonly logId: string;
  /** The lowest offset that is not finished. */
  readonly offset: number;
  /** When the record at the offset was appended; where there is none yet, the last one before it. */
  readonly appendedAtMs: number;
}

/**
 * Keeps the positions of groups beside the effects of what they finished. A position is saved after those effects, so a copy of the database that has it
 * (a standby, a backup) has them, too.
 */
export interface PositionStore {
  /** Replaces the positions of these groups and partitions. */
  save(positions: readonly GroupPosition[]): Promise<void>;
}

const intervalMs = 10_000;
/** How long a stop waits for a save under way. */
const stopTimeoutMs = 1_000;

/** Saves how far the groups of this process are, every 10 s, where it changed. */
export class StoredPositions {
  private readonly saved = new Map<string, number>();
  private readonly saves = new Periodically('saving the positions of the consumer groups', intervalMs, () => this.save());

  constructor(
    private readonly groups: readonly { group: Pick<HandlerGroup, 'group'>; consumer: Pick<GroupConsumer, 'progress'> }[],
    private readonly store: PositionStore,
  ) {}

  start(): void {
    this.saves.start();
  }

  async stop(): Promise<void> {
    await waitAtMost(stopTimeoutMs, this.saves.stop());
  }

  /** @throws what the store throws; the next save has the same positions or later ones */
  async save(): Promise<void> {
    const changed = this.groups.flatMap(({ group: { group }, consumer }) => positionsOf(group, consumer)).filter((one) => this.isNew(one));
    if (changed.length === 0) return;
    await this.store.save(changed);
    for (const one of changed) this.saved.set(keyOf(one), one.offset);
  }

  private isNew(position: GroupPosition): boolean {
    return this.saved.get(keyOf(position)) !== position.offset;
  }
}

function positionsOf(group: string, consumer: Pick<GroupConsumer, 'progress'>): GroupPosition[] {
  return consumer.progress().flatMap(({ topic, partition, logId, watermark, oldestOpenMs, lastReadMs }) => {
    const appendedAtMs = oldestOpenMs ?? lastReadMs;
    // A partition of which nothing was read keeps the position that its former owner saved.
    return watermark === undefined || appendedAtMs === undefined
      ? []
      : [{ group, topic, partition, logId, offset: watermark, appendedAtMs }];
  });
}

function keyOf(position: GroupPosition): string {
  return `${position.group} ${partitionName(position)} ${position.logId}`;
}
