import { setImmediate } from 'node:timers/promises';
import type { Journal } from './journal.js';

/** The partition log, as far as the commit of its batches needs it. */
export interface CommittedLog {
  readonly place: { readonly topic: string; readonly partition: number };
  durable(batch: Buffer): void;
  takeBack(): void;
  settle(): Promise<void>;
}

/** A batch that has an offset and is not durable yet. */
export interface PlacedBatch {
  readonly log: CommittedLog;
  readonly baseOffset: number;
  readonly data: Buffer;
}

interface PendingBatch {
  readonly batch: PlacedBatch;
  readonly resolve: (durable: boolean) => void;
}

/** Makes all batches that arrived together durable with one sync, and settles them later, so that the journal has room again. */
export class GroupCommit {
  private waiting: PendingBatch[] = [];
  private writing: Promise<void> | undefined;
  /** Partitions with batches that are only in the journal. */
  private readonly unsettled = new Set<CommittedLog>();
  private settling: Promise<void> = Promise.resolve();
  /** Resolves when the settling of the journal's other file has ended: true if all its batches are in the partitions. */
  private otherSettled: Promise<boolean> = Promise.resolve(true);

  /** @param afterTurn called when one of the journal's files has been settled */
  constructor(
    private readonly journal: Journal,
    private readonly onTrouble: (trouble: string, error: unknown) => void,
    private readonly afterTurn: () => Promise<void>,
  ) {}

  /** @returns true once the batch is on the disk and can be read; false if it could not be stored and is forgotten */
  commit(batch: PlacedBatch): Promise<boolean> {
    return new Promise((resolve) => {
      this.waiting.push({ batch, resolve });
      this.writing ??= this.write();
    });
  }

  /** Registers a partition that had batches in the journal at the start. */
  recovered(log: CommittedLog): void {
    this.unsettled.add(log);
  }

  /** Writes the batches that are only in the journal to the partitions' files. */
  settle(): Promise<void> {
    const settled = this.settling.then(() => this.settleEach());
    this.settling = settled.catch(() => undefined);
    return settled;
  }

  /** Writes the pending batches, settles everything, and empties the journal. */
  async close(): Promise<void> {
    await this.writing;
    await this.otherSettled;
    await this.settle();
    await this.journal.clear();
  }

  private async settleEach(): Promise<void> {
    const logs = new Set(this.unsettled);
    for (const log of logs) {
      this.unsettled.delete(log); // an append during the settling adds it again
      try {
        await log.settle();
      } catch (error) {
        this.unsettled.add(log);
        throw error;
      }
    }
  }

  private async write(): Promise<void> {
    await setImmediate(); // lets requests of other connections join this group
    while (this.waiting.length > 0) {
      const group = this.waiting;
      this.waiting = [];
      try {
        if (this.journal.full) await this.turn();
        await this.journal.write(group.map(({ batch: { log, baseOffset, data } }) => ({ ...log.place, baseOffset, batch: data })));
      } catch (error) {
        this.refuse(group, error);
        continue;
      }
      for (const { batch } of group) {
        batch.log.durable(batch.data);
        this.unsettled.add(batch.log);
      }
      for (const { resolve } of group) resolve(true);
    }
    this.writing = undefined;
  }

  /** Refuses the group, and the batches that arrived meanwhile: their offsets follow those that are taken back. */
  private refuse(group: readonly PendingBatch[], error: unknown): void {
    const lost = [...group, ...this.waiting];
    this.waiting = [];
    for (const log of new Set(lost.map(({ batch }) => batch.log))) log.takeBack();
    for (const { resolve } of lost) resolve(false);
    this.onTrouble(`${lost.length} batches could not be stored and were refused`, error);
  }

  /** Switches to the journal's other file, after its batches have reached the partitions. @throws the disk's error if they cannot */
  private async turn(): Promise<void> {
    if (!(await this.otherSettled)) await this.settle();
    this.journal.turn();
    const failed = (what: string) => (error: unknown) => {
      this.onTrouble(what, error);
      return false;
    };
    this.otherSettled = this.settle().then(() => true, failed('what stands in the journal could not be brought into the partitions yet'));
    void this.otherSettled.then(() => this.afterTurn()).catch(failed('what exceeds the size of the log could not be deleted'));
  }
}
