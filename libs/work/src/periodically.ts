import { startTimer } from '#libs/time';
import { logger } from '#libs/tracing';

const log = logger('work');

/**
 * Repeats a chore from `start` until `stop`. The interval is counted from the end of one run to the start of the next, so two runs never
 * overlap. A run that fails is logged, and the next one comes as if it had succeeded.
 */
export class Periodically {
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private underWay: Promise<void> = Promise.resolve();

  /**
   * @param what names the chore in the log, such as `measuring the backlog`
   * @param chore its signal aborts when `stop` is called
   * @param options.atOnce true: the first run begins at `start`; default: one interval later
   */
  constructor(
    private readonly what: string,
    private readonly everyMs: number,
    private readonly chore: (signal: AbortSignal) => Promise<void>,
    private readonly options: { readonly atOnce?: boolean } = {},
  ) {}

  start(): void {
    if (this.options.atOnce === true) this.run();
    else this.schedule();
  }

  /** Resolves when the run under way has ended. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error(`${this.what} stops`));
    clearTimeout(this.timer);
    await this.underWay;
  }

  private schedule(): void {
    this.timer = startTimer(() => this.run(), this.everyMs);
  }

  private run(): void {
    this.underWay = this.once();
  }

  private async once(): Promise<void> {
    const { signal } = this.stopping;
    try {
      await this.chore(signal);
    } catch (error) {
      log.warn({ err: error }, `${this.what} failed`);
    }
    if (!signal.aborted) this.schedule();
  }
}
