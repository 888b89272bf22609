import type { Lane } from '#libs/contracts';
import type { FaultKind } from './options.js';

/** What a partner says happened: the key of everything the checker does. */
export interface Ticket {
  readonly customer: string;
  readonly lane: Lane;
  /** Counts from 1 per customer and lane: the order in which the partner sends. */
  readonly sequence: number;
}

/** The partner's own id of the event, under which it repeats it. */
export function idOf({ customer, lane, sequence }: Ticket): string {
  return `${customer}/${lane}/${sequence}`;
}

/**
 * One request of a partner. `ok`: acknowledged, so it must take effect; `fail`: not taken for certain; `info`: unknown, so it may.
 * Times are ms since the run began.
 */
export interface Request extends Ticket {
  readonly why: 'first' | 'repeat' | 'duplicate';
  readonly at: number;
  readonly endedAt: number;
  readonly outcome: 'ok' | 'fail' | 'info';
  readonly eventId: string | null;
  /** The status, or the failure's code. */
  readonly answer: string;
}

/** One request that reached the sink. */
export interface Arrival extends Ticket {
  readonly at: number;
  readonly destination: string;
  readonly webhookId: string;
  readonly eventId: string;
  readonly bodyHash: string;
  /** Null where the sink never answered. */
  status: number | null;
}

export interface Fault {
  readonly kind: FaultKind;
  readonly what: string;
  readonly at: number;
  readonly healedAt: number;
  /** Processes that were ended with SIGKILL. */
  readonly kills: number;
}

/** What a group had committed, by an answer of the log that came at `at`. */
export interface OffsetSample {
  readonly at: number;
  readonly group: string;
  readonly topic: string;
  readonly offsets: ReadonlyMap<number, number>;
}

/** Everything that was seen from outside while the run lasted. */
export class History {
  readonly requests: Request[] = [];
  readonly arrivals: Arrival[] = [];
  readonly faults: Fault[] = [];
  readonly offsets: OffsetSample[] = [];
  private readonly startedMonotonicMs = performance.now();
  /** Wall clock at 0 ms. */
  readonly startedAt = Date.now();

  now(): number {
    return Math.round(performance.now() - this.startedMonotonicMs);
  }
}
