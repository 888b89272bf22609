import { logger } from '#libs/tracing';

const log = logger('deliveries');

/** Does a chore every so often, one at a time, from its start until it is stopped; a failure is logged and the next time comes all the same. */
export class Periodically {
  private timer: NodeJS.Timeout | undefined;
  private underWay: Promise<void> = Promise.resolve();

  constructor(
    private readonly what: string,
    private readonly everyMs: number,
    private readonly chore: () => Promise<void>,
  ) {}

  start(): void {
    this.timer = setTimeout(() => {
      this.underWay = this.once();
    }, this.everyMs);
  }

  /** Waits for the one under way. */
  async stop(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    await this.underWay;
  }

  private async once(): Promise<void> {
    try {
      await this.chore();
    } catch (error) {
      log.warn({ err: error }, `${this.what} failed`);
    }
    if (this.timer !== undefined) this.start();
  }
}
