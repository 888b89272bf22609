import type { DestinationSpec } from '#libs/contracts';

/** What an attempt carries; all of it is the same on every attempt of a delivery. */
export interface OutboundDelivery {
  /** The effect key the destination sees. */
  readonly id: string;
  /** The payload, byte for byte as it was planned. */
  readonly payload: string;
  /** W3C trace context of this attempt, where there is one. */
  readonly traceparent: string | undefined;
}

/** What the destination answered, for the record. */
export interface Receipt {
  readonly status: number;
  readonly excerpt: string;
}

/** Code for one kind of destination. */
export interface Connector<K extends DestinationSpec['kind']> {
  /**
   * Makes one attempt, within the destination's deadline. Resolves when the destination has taken the payload.
   * @throws DomainError with outcome `retry` where another attempt may succeed, `deadLetter` where none can; AnsweredError among them
   *   where there was an answer; the signal's reason where it ended the attempt
   */
  attempt(delivery: OutboundDelivery, destination: Extract<DestinationSpec, { kind: K }>, signal: AbortSignal): Promise<Receipt>;
}
