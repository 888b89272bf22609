import { effectKey } from '#libs/contracts';
import type { Lane } from '#libs/contracts';
import type { FaultKind } from './options.js';

/** Identifies one event of a partner. The checker relates everything to it. */
export interface Ticket {
  readonly customer: string;
  readonly lane: Lane;
  /** Counts from 1 per customer and lane, in the order in which the partner sends. */
  readonly sequence: number;
}

/** The values of `webhook-id` under which a delivery may arrive: its effect key, and from connectors of the release before its id. */
export function namesOf(id: string): string[] {
  return [effectKey(id), id];
}

/** True for the events of every fifth customer, which also go to the destination that takes each request anew. */
export function hasNotice({ customer }: Pick<Ticket, 'customer'>): boolean {
  return /[05]$/.test(customer);
}

/** The partner's id of the event, the same in all its repeats. */
export function idOf({ customer, lane, sequence }: Ticket): string {
  return `${customer}/${lane}/${sequence}`;
}

/**
 * One request of a partner. `ok`: acknowledged, so it must take effect. `fail`: certainly not accepted. `info`: unknown, so it may take effect.
 * Times are in ms since the run began.
 */
export interface PartnerRequest extends Ticket {
  readonly why: 'first' | 'repeat' | 'duplicate';
  readonly at: number;
  readonly endedAt: number;
  readonly outcome: 'ok' | 'fail' | 'info';
  readonly eventId: string | null;
  /** The status, or the failure's code. */
  readonly response: string;
}

/** One request that reached the sink. */
export interface SinkRequest extends Ticket {
  readonly at: number;
  readonly destination: string;
  readonly webhookId: string;
  readonly eventId: string;
  readonly bodyHash: string;
  /** Null if the sink did not respond. */
  status: number | null;
}

/** A fault that was injected. */
export interface InjectedFault {
  readonly kind: FaultKind;
  readonly what: string;
  readonly at: number;
  readonly healedAt: number;
  /** Processes that were ended with SIGKILL. */
  readonly kills: number;
}

/** The committed offsets of a group, from a response of the log that came at `at`. */
export interface OffsetSample {
  readonly at: number;
  readonly group: string;
  readonly topic: string;
  readonly offsets: ReadonlyMap<number, number>;
}

/** Everything that was observed from outside during the run. */
export class History {
  readonly requests: PartnerRequest[] = [];
  readonly arrivals: SinkRequest[] = [];
  readonly faults: InjectedFault[] = [];
  readonly offsets: OffsetSample[] = [];
  private readonly startedMonotonicMs = performance.now();
  /** Wall clock time at 0 ms. */
  readonly startedAt = Date.now();

  now(): number {
    return Math.round(performance.now() - this.startedMonotonicMs);
  }
}
