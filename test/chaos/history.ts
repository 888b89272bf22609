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

/** True for the events of every fifth customer, each of which sets a record at the desk. */
export function isRecorded({ customer }: Pick<Ticket, 'customer'>): boolean {
  return /[27]$/.test(customer);
}

/** True for the events of every fifth customer, on which the flow runs that reads from and acts in the desk. */
export function isActedOn({ customer }: Pick<Ticket, 'customer'>): boolean {
  return /[16]$/.test(customer);
}

/** True for those of these events whose flow waits before it acts. */
export function isFollowedUp(ticket: Pick<Ticket, 'customer' | 'sequence'>): boolean {
  return isActedOn(ticket) && ticket.sequence % 3 === 0;
}

/** True for the events about which a flow asks a person. */
export function isReviewed({ sequence }: Pick<Ticket, 'sequence'>): boolean {
  return sequence % 8 === 0;
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

/** One request that reached the desk and writes. */
export interface DeskRequest extends Ticket {
  readonly at: number;
  readonly what: 'case' | 'note' | 'record';
  /** The idempotency key of a case, the mark of a note, the id of a record. */
  readonly key: string;
  readonly eventId: string;
  /** The step of the flow that it comes from. */
  readonly step: string;
  readonly bodyHash: string;
  /** `remembered`: a repeat that was answered from memory. `none`: a fault of the desk kept it from having any. */
  readonly outcome: 'effect' | 'remembered' | 'none';
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
  readonly deskRequests: DeskRequest[] = [];
  readonly faults: InjectedFault[] = [];
  readonly offsets: OffsetSample[] = [];
  private readonly startedMonotonicMs = performance.now();
  /** Wall clock time at 0 ms. */
  readonly startedAt = Date.now();

  now(): number {
    return Math.round(performance.now() - this.startedMonotonicMs);
  }
}
