import { startTimer } from '#libs/time';
import { logger } from '#libs/tracing';
import type { Lease } from './lease.js';
import { Periodically } from './periodically.js';

export interface Claimed<Claim> {
  readonly claims: readonly Claim[];
  /**
   * The time after which something may be claimed although nobody wakes the loop, ms; default: `pollMs`. Looks that find nothing, one after the other, come
   * ever later than that, up to {@link longestDoubtMs}: a time that is wrong must not keep storage busy.
   */
  readonly againInMs?: number | undefined;
  /**
   * True: nothing more can be claimed until the loop is woken or the time is over, however much work ends. Else the loop looks again at once, unless
   * nothing was claimed, and whenever work ends.
   */
  readonly isAll?: boolean;
}

export interface ClaimLoopOptions<Claim> {
  /** Names the claims in the log, in the plural: `deliveries`. */
  readonly what: string;
  /** Claims worked on at once, at most. */
  readonly concurrency: number;
  /** How long a claim holds without being renewed, ms. It is renewed every third of that. */
  readonly leaseMs: number;
  /** The longest time between two looks, ms. */
  readonly pollMs: number;
  /** How long work may go on after `stop`, ms; then its signal aborts. */
  readonly stopMs: number;
  /** Claims at most `free` things for `leaseMs`. Each call returns new objects: a claim is known by its identity. */
  readonly claim: (free: number) => Promise<Claimed<Claim>>;
  /** Extends the claims by `leaseMs` and returns those that are still this process's. */
  readonly renew: (claims: readonly Claim[]) => Promise<readonly Claim[]>;
  /** Works on a claim to its end, and settles or gives back what was claimed. The claim is not renewed any more once this resolves. */
  readonly work: (claim: Claim, lease: Lease) => Promise<void>;
  /** Makes the reason that the signal aborts with when the claim is lost. */
  readonly lost: (claim: Claim) => Error;
}

interface Held {
  endsAtMs: number;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/** So much later than named, in ms, is the next look at most after many that found nothing. */
export const longestDoubtMs = 100;

const nothing: Claimed<never> = { claims: [] };
const log = logger('work');

/**
 * Claims what is due and has it worked on, so many at once, and renews the claims meanwhile. It looks at once when it is woken, and when work
 * ends for whose room something may wait, and otherwise every `pollMs`.
 *
 * While storage cannot be reached, claims run out: work that must not happen twice compares `lease.endsAtMs` with the clock before it acts.
 */
export class ClaimLoop<Claim extends object> {
  private readonly held = new Map<Claim, Held>();
  private readonly renewals: Periodically;
  private woken = Promise.withResolvers<void>();
  private stopping = false;
  /** False: the last look may have left something for which there was no room. */
  private hasAll = false;
  private running: Promise<void> | undefined;

  constructor(private readonly options: ClaimLoopOptions<Claim>) {
    this.renewals = new Periodically(`renewing claims of ${options.what}`, options.leaseMs / 3, () => this.renew());
  }

  start(): void {
    this.renewals.start();
    this.running = this.run();
  }

  /** Claims nothing more, and resolves when all work has ended. Claims are renewed until then. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.wake();
    await this.running;
    const patience = startTimer(() => this.abortAll(), this.options.stopMs);
    await Promise.all([...this.held.values()].map(({ ended }) => ended));
    clearTimeout(patience);
    await this.renewals.stop();
  }

  /** There may be something to claim: look now. */
  wake(): void {
    this.woken.resolve();
  }

  /** The claims that are worked on now. */
  underWay(): readonly Claim[] {
    return [...this.held.keys()];
  }

  private async run(): Promise<void> {
    let inVain = 0; // looks since the last one that found something, or since the loop was woken
    while (!this.stopping) {
      this.woken = Promise.withResolvers(); // before the look, so that a call of `wake` during it is not lost
      const { claims, againInMs, isAll = false } = await this.claim();
      this.hasAll = isAll;
      inVain = claims.length === 0 ? inVain + 1 : 0;
      if ((claims.length > 0 && !isAll) || this.stopping) continue;
      const leastMs = inVain < 2 ? 0 : Math.min(2 ** (inVain - 2), longestDoubtMs);
      if (await this.pause(againInMs, leastMs)) inVain = 0;
    }
  }

  /** Starts each claim at once: its lease has run since before the statement that claimed it. */
  private async claim(): Promise<Claimed<Claim>> {
    const free = this.options.concurrency - this.held.size;
    if (free <= 0) return nothing;
    const askedAtMs = performance.now();
    try {
      const claimed = await this.options.claim(free);
      for (const claim of claimed.claims) this.begin(claim, askedAtMs + this.options.leaseMs);
      return claimed;
    } catch (error) {
      log.warn({ err: error }, `${this.options.what} cannot be claimed; trying again`);
      return nothing;
    }
  }

  private begin(claim: Claim, endsAtMs: number): void {
    const stop = new AbortController();
    const ended = Promise.withResolvers<void>();
    const held: Held = { endsAtMs, stop, ended: ended.promise };
    this.held.set(claim, held);
    const lease: Lease = {
      signal: stop.signal,
      get endsAtMs() {
        return held.endsAtMs;
      },
    };
    void this.work(claim, lease).finally(() => {
      this.held.delete(claim);
      if (!this.hasAll) this.wake();
      ended.resolve();
    });
  }

  private async work(claim: Claim, lease: Lease): Promise<void> {
    try {
      await this.options.work(claim, lease);
    } catch (error) {
      log.error({ err: error }, `work on ${this.options.what} failed with an unexpected error; the claim expires`);
    }
  }

  /** @returns true if something woke the loop before the time was over */
  private async pause(namedMs = Infinity, leastMs = 0): Promise<boolean> {
    let isOver = false;
    const timer = startTimer(
      () => {
        isOver = true;
        this.wake();
      },
      Math.min(Math.max(namedMs, leastMs), this.options.pollMs),
    );
    await this.woken.promise;
    clearTimeout(timer);
    return !isOver;
  }

  private async renew(): Promise<void> {
    const held = [...this.held];
    if (held.length === 0) return;
    const askedAtMs = performance.now();
    const renewed = new Set(await this.options.renew(held.map(([claim]) => claim)));
    for (const [claim, one] of held) {
      if (renewed.has(claim)) one.endsAtMs = askedAtMs + this.options.leaseMs;
      else one.stop.abort(this.options.lost(claim));
    }
  }

  private abortAll(): void {
    for (const { stop } of this.held.values()) stop.abort(new Error('The process stops'));
  }
}
