import type { DestinationKind, DestinationSpecOf } from '#libs/contracts';

/** A delivery on its way to the peer. All of it but the trace context is the same on every attempt. */
export interface OutboundDelivery {
  /** The effect key: the peer sees it, and can recognise a repeat by it. */
  readonly id: string;
  /** JSON text, as it was planned. */
  readonly payload: string;
  /** W3C trace context of this attempt. */
  readonly traceparent: string | undefined;
}

/** The response of a peer, for people and for the record. Contains no secret, and is bounded. */
export interface Receipt {
  /** A few words that fit into a sentence: `status 202`. */
  readonly summary: string;
  readonly detail: {
    /** The code of the peer's protocol, if it has codes that are numbers. */
    readonly status?: number;
    /** The start of what the peer said, at most 16 KiB. */
    readonly excerpt?: string;
  };
}

/** Limits of a process that hold for all its connectors. */
export interface ConnectorOptions {
  /** True lets connectors reach loopback, private and other inner addresses. Only if every document is trusted. */
  readonly allowPrivateAddresses: boolean;
  /** Addresses that may be reached although they are not public. One without a path stands for its origin; one with a path only for itself. */
  readonly allowedUrls?: readonly string[];
  /** Connections to one peer, at most; further calls wait, inside their deadline. Default 32. */
  readonly connectionsPerPeer?: number;
}

/**
 * The code for one kind of system. Each method is an operation, whatever the protocol behind it: nothing outside the connector's folder knows
 * statuses, headers or error codes of that protocol. Every connector passes `connector.conformance.ts`.
 */
export interface Connector<K extends DestinationKind> {
  /**
   * Makes one attempt within the destination's `timeoutMs`. Resolves when the destination has taken the payload.
   * @throws ConnectorFailure; the signal's reason if the signal ended the attempt
   */
  deliver(delivery: OutboundDelivery, destination: DestinationSpecOf<K>, signal: AbortSignal): Promise<Receipt>;
  /** Closes every connection. Called once, after the last operation has ended. */
  close(): Promise<void>;
}
