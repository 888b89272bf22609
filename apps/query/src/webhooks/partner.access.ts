import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Connections } from '#libs/connections';
import { Connectors, OperationFailure, PartnerWebhooks } from '#libs/connectors';
import { DomainError, NotFound } from '#libs/contracts';
import type { ApiWebhooks, ConnectorWebhooks } from '#libs/contracts';
import { ExpressionFailed } from '#libs/expressions';
import { HttpClient } from '#libs/http';
import { ConnectionTable } from '../connections/connection.table.js';
import { InputInvalid } from '../operations/input.errors.js';
import { WebhookBusy, WebhookUnavailable } from './webhook.errors.js';

export type Connected = NonNullable<Awaited<ReturnType<ConnectionTable['connectedOf']>>>;

/** Reaches the webhooks of partners, by operations of connections. */
@Injectable()
export class PartnerAccess {
  constructor(
    private readonly connectionTable: ConnectionTable,
    private readonly connections: Connections,
    private readonly http: HttpClient,
  ) {}

  /** @throws NotFound */
  async connected(tenant: string, name: string): Promise<Connected> {
    const connected = await this.connectionTable.connectedOf(tenant, name);
    if (connected === undefined) throw new NotFound('connection', name, { field: 'connection' });
    return connected;
  }

  /**
   * Uses the webhooks of a partner.
   * @throws InputInvalid if the partner refuses, WebhookUnavailable; the signal's reason; as the work does
   */
  async use<T>(
    { stored, connector: spec }: Connected,
    webhooks: ApiWebhooks,
    work: (partner: PartnerWebhooks) => Promise<T>,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<T> {
    const { tenant, name, document } = stored;
    const { connector, settings, timeoutMs } = document.spec;
    const connectors = new Connectors({ http: this.http, connectorOf: () => spec });
    const connection = { tenant, name, connector, settings, authorizer: this.connections.of(stored), timeoutMs };
    const partner = new PartnerWebhooks(webhooks, { connection, connectors, effectKey: randomUUID(), signal });
    try {
      return await work(partner);
    } catch (error) {
      if (error instanceof InputInvalid || error instanceof WebhookBusy) throw error;
      if (error instanceof OperationFailure && error.outcome !== 'retry') throw refused(name, partner.redacted(error.message));
      if (error instanceof ExpressionFailed) throw refused(name, partner.redacted(error.message));
      throw error instanceof DomainError && error.outcome === 'retry' && !error.ours ? new WebhookUnavailable(name, error) : error;
    } finally {
      await connectors.close();
    }
  }
}

/** @throws InputInvalid */
export function requireWebhooks(webhooks: ConnectorWebhooks | undefined, connection: string, connector: string): ConnectorWebhooks {
  if (webhooks !== undefined) return webhooks;
  const message = `is ${connection}, whose connector ${connector} registers no webhooks: name another connection, or a Connector with a section webhooks (docs/registration.md)`;
  throw new InputInvalid([{ path: ['connection'], message }], 'webhook.unsupported');
}

export function refused(connection: string, why: string): InputInvalid {
  return new InputInvalid([{ path: ['connection'], message: `${connection}: ${why}` }], 'webhook.refused');
}
