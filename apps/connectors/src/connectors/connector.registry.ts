import { Injectable } from '@nestjs/common';
import type { DestinationSpec } from '#libs/contracts';
import type { Connector } from './connector.js';
import { HttpConnector } from './http/http.connector.js';

/** The connector of every kind a Destination document can name; a kind without one does not compile. */
@Injectable()
export class ConnectorRegistry {
  private readonly connectors: { readonly [K in DestinationSpec['kind']]: Connector<K> };

  constructor(http: HttpConnector) {
    this.connectors = { http };
  }

  of<K extends DestinationSpec['kind']>(kind: K): Connector<K> {
    return this.connectors[kind];
  }
}
