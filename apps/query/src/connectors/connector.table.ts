import { Injectable } from '@nestjs/common';
import { builtInConnectors, connectorSpecOf } from '#libs/connectors';
import type { ConnectorDocument, ConnectorSpec } from '#libs/contracts';
import { promiseOf } from '#libs/deliveries';
import { DocumentTable, TenantDatabase } from '#libs/persistence';
import type { ConnectorRow } from './connector.operations.js';

@Injectable()
export class ConnectorTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
  ) {}

  /** By name. */
  async list(tenant: string): Promise<ConnectorRow[]> {
    const own = await this.database.asTenant(tenant, (session) => this.documents.current(session, tenant, 'Connector'));
    const rows = [
      ...[...builtInConnectors()].map(([name, spec]) => rowOf(name, spec, true)),
      ...own.map(({ name, document }) => rowOf(name, connectorSpecOf((document as ConnectorDocument).spec), false)),
    ];
    return rows.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  }
}

function rowOf(name: string, { summary, auth, settings, operations, limits }: ConnectorSpec, isBuiltIn: boolean): ConnectorRow {
  return {
    name,
    summary,
    isBuiltIn,
    auth: auth.map(({ kind }) => kind),
    settings,
    limits,
    operations: Object.entries(operations)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([operation, { summary: about, effect, idempotency, input, output }]) => ({
        name: operation,
        summary: about,
        effect,
        promise: idempotency === undefined || idempotency.class === 'declared' ? null : promiseOf(idempotency),
        input,
        output,
      })),
  };
}
