import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { Connections, consentValidMs } from '#libs/connections';
import type { ConsentAnswer, GivenConsent } from '#libs/connections';
import { Connectors, probe } from '#libs/connectors';
import type { ProbeResult } from '#libs/connectors';
import { NotFound } from '#libs/contracts';
import type { ConnectionDocument } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import type { Stored } from '#libs/persistence';
import { wallTimeMs } from '#libs/time';
import { AuditTable } from '../audit/audit.table.js';
import type { CommandOperation } from '../operations/operation.js';
import { InputInvalid } from '../operations/input.errors.js';
import { authorizeConnection, disconnectConnection, testConnection } from './connection.operations.js';
import type { AuthorizeConnectionInput, ConnectionRow } from './connection.operations.js';
import { ConnectionTable } from './connection.table.js';

/** The address at which the answers of consents arrive; undefined if the installation has none. */
export class ConsentCallback {
  constructor(readonly url: string | undefined) {}
}

type Connected = NonNullable<Awaited<ReturnType<ConnectionTable['connectedOf']>>>;

@Injectable()
export class ConnectionService {
  constructor(
    private readonly table: ConnectionTable,
    private readonly connections: Connections,
    private readonly audit: AuditTable,
    private readonly callback: ConsentCallback,
    private readonly http: HttpClient,
  ) {}

  async test(principal: Principal, name: string): Promise<ProbeResult & { connection: ConnectionRow }> {
    const connected = await this.table.connectedOf(principal.tenant, name);
    if (connected === undefined) throw notFound(name);
    await this.note(principal, testConnection, name);
    const result = await this.probed(connected);
    if (result.isAccepted) await this.connections.noteAccepted(connected.stored);
    return { ...result, connection: await this.row(principal, name) };
  }

  /** @throws NotFound, InputInvalid, ConnectionUnavailable, ConnectionNeedsReauth */
  async authorize(
    principal: Principal,
    { name, allowOtherAccount }: AuthorizeConnectionInput,
  ): Promise<{ url: string | null; expiresAt: Date | null; connection: ConnectionRow }> {
    const connection = await this.foundOAuth(principal, name);
    const redirectUri = this.callback.url;
    if (redirectUri === undefined) {
      const message =
        'cannot be authorised: CONSENT_CALLBACK_URL of the query service is not set, and the system needs an address to send people back to';
      throw new InputInvalid([{ path: ['name'], message }], 'connection.noCallback');
    }
    await this.note(principal, authorizeConnection, name, { allowOtherAccount: allowOtherAccount === true });
    const request = { principal: principal.actor, redirectUri, allowOtherAccount: allowOtherAccount === true };
    const url = await this.connections.authorize(connection, request, new AbortController().signal);
    const expiresAt = url === null ? null : new Date(wallTimeMs() + consentValidMs);
    return { url, expiresAt, connection: await this.row(principal, name) };
  }

  /** @throws NotFound, InputInvalid */
  async disconnect(principal: Principal, name: string): Promise<{ isRevoked: boolean | null; connection: ConnectionRow }> {
    const connection = await this.foundOAuth(principal, name);
    await this.note(principal, disconnectConnection, name);
    const isRevoked = await this.connections.disconnect(connection);
    return { isRevoked, connection: await this.row(principal, name) };
  }

  /** Takes the answer of a consent for the person who had asked for it. @throws ConsentRefused, StorageUnavailable */
  async complete(answer: ConsentAnswer): Promise<GivenConsent> {
    const given = await this.connections.completeConsent(answer, (tenant, name) => this.table.documentOf(tenant, name));
    await this.note({ tenant: given.tenant, actor: given.principal }, authorizeConnection, given.connection, {
      consent: 'given',
      account: given.account,
    });
    return given;
  }

  /** Sessions that a driver begins for this end with it: the processes that act have their own. */
  private async probed({ stored, connector: spec }: Connected): Promise<ProbeResult> {
    const { tenant, name, document } = stored;
    const { connector, settings, timeoutMs } = document.spec;
    const connectors = new Connectors({ http: this.http, connectorOf: () => spec });
    const { signal } = new AbortController();
    try {
      const connection = { tenant, name, connector, settings, authorizer: this.connections.of(stored), timeoutMs };
      return await probe(connection, { connectors, renew: () => this.connections.renew(stored, signal), signal });
    } finally {
      await connectors.close();
    }
  }

  private async found({ tenant }: Principal, name: string): Promise<Stored<ConnectionDocument>> {
    const connection = await this.table.documentOf(tenant, name);
    if (connection === undefined) throw notFound(name);
    return connection;
  }

  private async foundOAuth(principal: Principal, name: string): Promise<Stored<ConnectionDocument>> {
    const connection = await this.found(principal, name);
    if (this.connections.isOAuth(connection)) return connection;
    const message = `has a credential of the kind ${connection.document.spec.auth.kind}, which stands in its document: apply the document to change it`;
    throw new InputInvalid([{ path: ['name'], message }], 'connection.notOAuth');
  }

  private async row({ tenant }: Principal, name: string): Promise<ConnectionRow> {
    const row = await this.table.find(tenant, name);
    if (row === null) throw notFound(name);
    return row;
  }

  private note(
    principal: Pick<Principal, 'tenant' | 'actor'>,
    operation: CommandOperation,
    name: string,
    detail?: Record<string, unknown>,
  ): Promise<void> {
    return this.audit.record(principal, [{ operation, target: `Connection/${name}`, ...(detail === undefined ? {} : { detail }) }]);
  }
}

function notFound(name: string): NotFound {
  return new NotFound('connection', name, { field: 'name' });
}
