import type { Connectors, OpenConnection, Receipt } from '#libs/connectors';
import type { DestinationKind, DestinationSpecOf } from '#libs/contracts';
import type { HttpClient } from '#libs/http';

/** A delivery on its way to the peer. Its id and payload are the same on every attempt. */
export interface OutboundDelivery {
  readonly tenant: string;
  /** The effect key: the peer sees it, and can recognise a repeat by it. */
  readonly id: string;
  /** JSON text, as it was planned. */
  readonly payload: string;
  /** When the first attempt began that the peer took, or may have taken; null if there is none. */
  readonly reachedAt: Date | null;
  /** W3C trace context of this attempt. */
  readonly traceparent: string | undefined;
  /** Called before whatever may take effect, if the deliverer has waited for something else since it began. @throws if another process may attempt the delivery */
  readonly requireClaim: () => void;
}

/** The parts of a process that its deliverers share. */
export interface DelivererTools {
  readonly http: HttpClient;
  readonly connectors: Connectors;
  /** The connection of this name, ready for use. @throws NotFound, DocumentSecretsUnreadable */
  readonly openConnection: (tenant: string, name: string) => OpenConnection;
}

/**
 * The code that makes one attempt of a delivery to a kind of destination. Nothing outside its folder knows statuses, headers or error codes of its
 * protocol. Every deliverer passes `deliverer.conformance.ts`.
 */
export interface Deliverer<K extends DestinationKind> {
  /**
   * Makes one attempt within the destination's `timeoutMs`. Resolves when the destination has taken the payload.
   * @throws DeliveryFailure; the signal's reason if the signal ended the attempt
   */
  deliver(delivery: OutboundDelivery, destination: DestinationSpecOf<K>, signal: AbortSignal): Promise<Receipt>;
}
