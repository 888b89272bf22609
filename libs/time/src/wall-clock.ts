/**
 * The wall clock of this machine in ms since 1970, for moments that others read: timestamps, expiry, signatures. It steps, forward and back, when an
 * operator, NTP or a resumed machine sets it. So the difference of two readings is no duration: durations come from `performance.now()`, the
 * monotonic clock. The lint (`tools/lint/clocks.mjs`) refuses other ways to read the wall clock, and the difference of two readings.
 */
export function wallTimeMs(): number {
  return Date.now();
}

/** The wall clock's time, for moments that others read; see {@link wallTimeMs}. */
export function wallTime(): Date {
  return new Date();
}

/**
 * The time between two moments in ms, for metrics and for people, where the two come from different machines or processes, so that no monotonic
 * clock covers both. It is as wrong as the clocks differ or have stepped, but never below zero.
 */
export function latencyMs(fromMs: number, toMs: number): number {
  return Math.max(0, toMs - fromMs);
}

/**
 * When something began and ended, and how long it took. The end is what the wall clock said then, so ends stand in the order in which they came; where the
 * clock was set meanwhile, it is the begin and the duration. It is never before the begin.
 */
export interface StopwatchResult {
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly durationMs: number;
}

/** Both readings of the wall clock are whole milliseconds. */
const roundingMs = 2;
/** An NTP daemon corrects a clock by at most 500 ms per 1 000 s while it runs. */
const slewing = 0.0005;

/** Starts when it is made. The wall clock says when that was, the monotonic clock how long it took. */
export class Stopwatch {
  private readonly startedAt = wallTime();
  private readonly startedMs: number;

  /** @param nowMs a monotonic clock. Default: `performance.now` */
  constructor(private readonly nowMs: () => number = () => performance.now()) {
    this.startedMs = nowMs();
  }

  stop(): StopwatchResult {
    const durationMs = this.nowMs() - this.startedMs;
    const beganMs = this.startedAt.getTime();
    const endedMs = wallTimeMs();
    const expectedMs = beganMs + durationMs;
    const slackMs = roundingMs + durationMs * slewing;
    const wasSet = endedMs < expectedMs - slackMs || endedMs > expectedMs + slackMs;
    return { startedAt: this.startedAt, finishedAt: new Date(wasSet ? Math.round(expectedMs) : Math.max(beganMs, endedMs)), durationMs };
  }
}
