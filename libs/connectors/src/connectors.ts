import type { DestinationKind, DestinationSpec } from '#libs/contracts';
import type { Connector, ConnectorOptions, OutboundDelivery, Receipt } from './connector.js';
import { connectorClasses } from './connectors.generated.js';

type ConnectorClasses = { readonly [K in DestinationKind]: new (options: ConnectorOptions) => Connector<K> };

/** A kind of destination without its connector does not compile here. */
const classes: ConnectorClasses = connectorClasses;

/** One connector for every kind of destination. */
export class Connectors {
  private readonly connectors: ReadonlyMap<DestinationKind, Connector<DestinationKind>>;

  constructor(options: ConnectorOptions) {
    const kinds = Object.keys(classes) as DestinationKind[];
    this.connectors = new Map(kinds.map((kind) => [kind, new classes[kind](options)]));
  }

  /** Makes one attempt with the connector of the destination's kind. @throws as {@link Connector.deliver} */
  deliver(delivery: OutboundDelivery, destination: DestinationSpec, signal: AbortSignal): Promise<Receipt> {
    return this.connectors.get(destination.kind)!.deliver(delivery, destination, signal);
  }

  async close(): Promise<void> {
    await Promise.all([...this.connectors.values()].map((connector) => connector.close()));
  }
}
