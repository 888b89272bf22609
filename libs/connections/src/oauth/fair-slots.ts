import { FairQueue } from '#libs/queues';

/** Lets so much work run at once, and so much of one owner. Work waits for its turn, and owners take turns. */
export class FairSlots {
  private readonly waiting = new FairQueue<() => void>();
  private readonly running = new Map<string, number>();
  private total = 0;

  constructor(
    private readonly most: number,
    private readonly mostOfOwner: number,
  ) {}

  async run<T>(owner: string, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((begin) => {
      this.waiting.push(owner, () => {
        this.count(owner, 1);
        begin();
      });
      this.next();
    });
    try {
      return await work();
    } finally {
      this.count(owner, -1);
      this.next();
    }
  }

  private next(): void {
    if (this.total >= this.most) return;
    this.waiting.shift((owner) => (this.running.get(owner) ?? 0) >= this.mostOfOwner)?.();
  }

  private count(owner: string, change: 1 | -1): void {
    this.total += change;
    const now = (this.running.get(owner) ?? 0) + change;
    if (now === 0) this.running.delete(owner);
    else this.running.set(owner, now);
  }
}
