import type { Receipt } from '#libs/connectors';
import type { DestinationKind, DestinationSpec } from '#libs/contracts';
import type { Deliverer, DelivererTools, OutboundDelivery } from './deliverer.js';
import { delivererClasses } from './deliverers.generated.js';

type DelivererClasses = { readonly [K in DestinationKind]: new (tools: DelivererTools) => Deliverer<K> };

/** A kind of destination without its deliverer does not compile here. */
const classes: DelivererClasses = delivererClasses;

/** One deliverer for every kind of destination. */
export class Deliverers {
  private readonly deliverers: ReadonlyMap<DestinationKind, Deliverer<DestinationKind>>;

  constructor(tools: DelivererTools) {
    const kinds = Object.keys(classes) as DestinationKind[];
    this.deliverers = new Map(kinds.map((kind) => [kind, new classes[kind](tools)]));
  }

  /** Makes one attempt with the deliverer of the destination's kind. @throws as {@link Deliverer.deliver} */
  deliver(delivery: OutboundDelivery, destination: DestinationSpec, signal: AbortSignal): Promise<Receipt> {
    return this.deliverers.get(destination.kind)!.deliver(delivery, destination, signal);
  }
}
