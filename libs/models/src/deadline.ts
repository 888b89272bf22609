import { startTimer } from '#libs/time';

/** The time limit of a unit of work that consists of several calls and waits. */
export class Deadline implements Disposable {
  private readonly controller = new AbortController();
  private readonly endsAt: number;
  private readonly timer: NodeJS.Timeout;
  private readonly forward = (): void => this.controller.abort(this.outer?.reason);
  private hasPassed = false;

  /**
   * @param outer a signal that can end the work earlier, with its own reason
   * @param parent the limit of the work that this work is a part of
   */
  constructor(
    readonly timeoutMs: number,
    private readonly outer: AbortSignal | undefined,
    private readonly now: () => number,
    private readonly parent?: Deadline,
  ) {
    this.endsAt = now() + timeoutMs;
    this.timer = startTimer(() => {
      this.hasPassed = true;
      this.controller.abort(new DOMException('The deadline has passed', 'TimeoutError'));
    }, timeoutMs);
    if (outer?.aborted) this.forward();
    outer?.addEventListener('abort', this.forward, { once: true });
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** A limit for a part of this work. It does not outlast this one, and has passed if this one has. */
  part(timeoutMs: number): Deadline {
    return new Deadline(timeoutMs, this.signal, this.now, this);
  }

  /** True if the time is up; false if `outer` ended the work, or nothing has. */
  get passed(): boolean {
    return this.hasPassed || this.parent?.passed === true;
  }

  get remainingMs(): number {
    return Math.max(0, this.endsAt - this.now());
  }

  [Symbol.dispose](): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener('abort', this.forward);
  }
}
