import { setImmediate } from 'node:timers/promises';
import type { Journal } from './journal.js';

/** A partition, as far as it is told what becomes of its batches. */
export interface CommittedLog {
  readonly place: { readonly topic: string; readonly partition: number };
  durable(batch: Buffer): void;
  takeBack(): void;
  settle(): Promise<void>;
}

/** A batch that has its offset and is not durable yet. */
export interface PlacedBatch {
  readonly log: CommittedLog;
  readonly baseOffset: number;
  readonly data: Buffer;
}

interface Waiting {
  readonly batch: PlacedBatch;
  readonly resolve: (durable: boolean) => void;
}

/** Makes batches durable, all that arrived together with one sync, and sees to it that the journal has room again. */
export class GroupCommit {
  private waiting: Waiting[] = [];
  private writing: Promise<void> | undefined;
  /** Partitions with batches that stand in the journal only. */
  private readonly unsettled = new Set<CommittedLog>();
  private settling: Promise<void> = Promise.resolve();
  /** Whether what stands in the journal's other file has reached the partitions. */
  private otherSettled: Promise<boolean> = Promise.resolve(true);

  /** @param afterTurn called when one of the journal's files has been settled */
  constructor(
    private readonly journal: Journal,
    private readonly onTrouble: (trouble: string, error: unknown) => void,
    private readonly afterTurn: () => Promise<void>,
  ) {}

  /** True once the batch is on the disk and can be read; false where it could not be stored, and is forgotten. */
  commit(batch: PlacedBatch): Promise<boolean> {
    return new Promise((resolve) => {
      this.waiting.push({ batch, resolve });
      this.writing ??= this.write();
    });
  }

  /** A batch found in the journal after a start. */
  recovered(log: CommittedLog): void {
    this.unsettled.add(log);
  }

  /** Brings what stands in the journal only into the partitions' files. */
  settle(): Promise<void> {
    const settled = this.settling.then(() => this.settleEach());
    this.settling = settled.catch(() => undefined);
    return settled;
  }

  /** Writes what waits, settles everything, and empties the journal. */
  async close(): Promise<void> {
    await this.writing;
    await this.otherSettled;
    await this.settle();
    await this.journal.clear();
  }

  private async settleEach(): Promise<void> {
    const logs = new Set(this.unsettled);
    for (const log of logs) {
      this.unsettled.delete(log); // what is appended meanwhile puts it back
      try {
        await log.settle();
      } catch (error) {
        this.unsettled.add(log);
        throw error;
      }
    }
  }

  private async write(): Promise<void> {
    await setImmediate(); // requests of other connections may be at hand
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

  /** What arrived meanwhile has offsets behind those that are taken back, so it goes with them. */
  private refuse(group: readonly Waiting[], error: unknown): void {
    const lost = [...group, ...this.waiting];
    this.waiting = [];
    for (const log of new Set(lost.map(({ batch }) => batch.log))) log.takeBack();
    for (const { resolve } of lost) resolve(false);
    this.onTrouble(`${lost.length} batches could not be stored and were refused`, error);
  }

  /** Waits for the other file, whose batches may still be on their way into the partitions. @throws what the disk said, where they cannot get there */
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
