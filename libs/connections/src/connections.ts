import type { SecretBox } from '#libs/auth';
import { clearText } from '#libs/contracts';
import type { AuthOf, ConnectionAuth, ConnectionDocument } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import type { ClientCertificate } from '#libs/http';
import type { Database, DocumentSecrets, Stored, Subscription } from '#libs/persistence';
import { wallTimeMs } from '#libs/time';
import { logger } from '#libs/tracing';
import type { Authorizer } from './authorizer.js';
import { ConnectionNotes } from './connection-notes.js';
import { ConnectionUnavailable } from './connection.errors.js';
import type { FixedAuthKind } from './credential.js';
import { FixedAuthorizer } from './fixed.authorizer.js';
import { inTenant } from './in-tenant.js';
import { Consents } from './oauth/consents.js';
import type { ConsentAnswer, ConsentRequest, GivenConsent } from './oauth/consents.js';
import { OAuthAuthorizer } from './oauth/oauth.authorizer.js';
import type { OAuth } from './oauth/token-answer.js';
import { TokenClient } from './oauth/token.client.js';
import { TokenFailure } from './oauth/token.failure.js';
import { TokenKeeper } from './oauth/token.keeper.js';
import type { OAuthConnection, TenantTransactions } from './oauth/token.keeper.js';
import { connectionStateTable, connectionsChannel } from './state/connection-state.table.js';
import type { ConnectionName } from './state/connection-state.table.js';

export interface ConnectionsOptions {
  readonly secrets: DocumentSecrets;
  readonly secretBox: SecretBox;
  /** Connects as the role that works across tenants, or as the one that row-level security binds. */
  readonly database: Database;
  /** True lets requests reach loopback, private and other inner addresses. */
  readonly allowPrivateAddresses: boolean;
  /** Addresses that may be reached although they are not public. */
  readonly allowedUrls?: readonly string[];
  /** The current time in ms since 1970, for signatures. Default: the wall clock. */
  readonly clock?: () => number;
}

type StoredConnection = Stored<ConnectionDocument>;

/** Requests for a token hold a connection to Postgres, so they have a pool of their own. */
const tokenPool = 6;
/** A refresh token that was not used for so long is renewed: some systems let one end after 30 days without use. */
const idleForMs = 86_400_000;

const log = logger('connections');

/** The connections of all tenants. No other code opens their credentials, or has their tokens. */
export class Connections {
  private readonly http: HttpClient;
  private readonly pool: Database;
  private readonly transactions: TenantTransactions;
  private readonly client: TokenClient;
  private readonly keeper: TokenKeeper;
  private readonly consents: Consents;
  private readonly authorizers = new WeakMap<ConnectionDocument, Authorizer>();
  private readonly notes: ConnectionNotes;
  private readonly listeners = new Set<(changed: ConnectionName | undefined) => void>();
  private subscription: Subscription | undefined;

  constructor(private readonly options: ConnectionsOptions) {
    const { allowPrivateAddresses, allowedUrls = [], secretBox, database } = options;
    this.http = new HttpClient({ allowPrivateAddresses, allowedUrls });
    this.notes = new ConnectionNotes(database);
    this.pool = database.separatePool(tokenPool);
    this.transactions = { inTenant: (tenant, work) => inTenant(this.pool, tenant, work) };
    this.client = new TokenClient(this.http);
    this.keeper = new TokenKeeper(this.transactions, secretBox, this.client);
    this.consents = new Consents(this.transactions, secretBox, this.client, this.keeper);
  }

  /** Connections that follow what other processes change. */
  static async started(options: ConnectionsOptions): Promise<Connections> {
    const connections = new Connections(options);
    await connections.start();
    return connections;
  }

  /** Follows what other processes change. */
  async start(): Promise<void> {
    this.subscription = await this.options.database.listen(connectionsChannel, (payload) => this.changed(payload));
  }

  /** Waits for requests for tokens that are under way: what they bring must be stored. */
  async close(): Promise<void> {
    await this.subscription?.close();
    await this.keeper.idle();
    await this.notes.close();
    await this.http.close();
    await this.pool.close();
  }

  /** Calls the listener when the state of a connection changed; without a name if any may have. @returns a function that ends this */
  onChange(listener: (changed: ConnectionName | undefined) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** True for a connection whose tokens are obtained by OAuth 2. The credential of any other stands in its document. */
  isOAuth(connection: StoredConnection): boolean {
    return this.oauthIn(connection) !== undefined;
  }

  /** @throws DocumentSecretsUnreadable */
  of(connection: StoredConnection): Authorizer {
    let known = this.authorizers.get(connection.document);
    if (known === undefined) this.authorizers.set(connection.document, (known = this.made(connection)));
    return known;
  }

  /**
   * Begins a consent, or asks for a token if the grant needs none.
   * @returns the address at which a person gives consent; null if none is needed
   * @throws ConnectionNeedsReauth, ConnectionUnavailable; Error if {@link isOAuth} says no
   */
  async authorize(connection: StoredConnection, request: ConsentRequest, signal: AbortSignal): Promise<string | null> {
    const client = this.oauthOf(connection);
    await this.enable(client);
    if (client.auth.grant === 'authorizationCode')
      return this.consents.begin(client, request).catch((error: unknown) => {
        throw error instanceof TokenFailure ? new ConnectionUnavailable(client.name, error.message, 5_000) : error;
      });
    await this.keeper.renew(client, signal);
    return null;
  }

  /**
   * Takes what a person came back with from a consent.
   * @param find the current document
   * @throws ConsentRefused, StorageUnavailable
   */
  completeConsent(
    answer: ConsentAnswer,
    find: (tenant: string, name: string) => Promise<StoredConnection | undefined>,
  ): Promise<GivenConsent> {
    return this.consents.complete(answer, async (tenant, name) => {
      const found = await find(tenant, name);
      return found === undefined ? undefined : this.oauthIn(found);
    });
  }

  /**
   * Deletes the tokens, and revokes them at the system if it has an endpoint for that. Nothing is sent as the connection until it is authorised again.
   * @returns true if the system revoked them, false if it could not be asked, null if it has no such endpoint or there was no token
   * @throws Error if {@link isOAuth} says no
   */
  async disconnect(connection: StoredConnection): Promise<boolean | null> {
    const client = this.oauthOf(connection);
    const { accessToken, refreshToken } = await this.transactions.inTenant(client.tenant, async (session) => {
      const row = await connectionStateTable.lock(session, client);
      await connectionStateTable.disable(session, client);
      return this.keeper.opened(client, row);
    });
    this.keeper.forget(client);
    const token = refreshToken ?? accessToken;
    if (token === undefined) return null;
    try {
      return (await this.client.revoke(client, token)) ? true : null;
    } catch (error) {
      if (!(error instanceof TokenFailure)) throw error;
      log.warn({ tenant: client.tenant, connection: client.name, error: error.message }, 'tokens of a connection could not be revoked');
      return false;
    }
  }

  /**
   * Asks for a new token, at once also where the last attempts failed.
   * @returns false if the credential has none
   * @throws ConnectionNeedsReauth, ConnectionUnavailable; the signal's reason
   */
  async renew(connection: StoredConnection, signal: AbortSignal): Promise<boolean> {
    const client = this.oauthIn(connection);
    if (client !== undefined) await this.keeper.renew(client, signal);
    return client !== undefined;
  }

  /** Notes that the system took the credential, so that an earlier refusal counts no longer. */
  async noteAccepted(connection: StoredConnection): Promise<void> {
    await this.notes.accepted(connection);
  }

  /** Renews the tokens of connections that were idle for a day, so that the grant does not end by itself. */
  async renewIdle(find: (tenant: string, name: string) => StoredConnection | undefined): Promise<void> {
    const idle = await connectionStateTable.idle(this.options.database, idleForMs);
    for (const { tenant, name } of idle) {
      const found = find(tenant, name);
      const client = found === undefined ? undefined : this.oauthIn(found);
      if (client === undefined) continue;
      await this.keeper
        .renewIdle(client, idleForMs)
        .catch((error: unknown) => log.warn({ err: error, tenant, connection: name }, 'an idle connection was not renewed'));
    }
  }

  private made(connection: StoredConnection): Authorizer {
    const { tenant, name, version, document } = connection;
    const notes = this.notes.of({ tenant, name });
    const oauth = this.oauthIn(connection);
    if (oauth !== undefined) return new OAuthAuthorizer(this.keeper, oauth, notes);
    const { credential, tls } = partsOf(this.options.secrets.openedConnection(document).spec.auth);
    const auth = credential as AuthOf<FixedAuthKind>;
    return new FixedAuthorizer({ auth, tls, version, clock: this.options.clock ?? wallTimeMs, notes });
  }

  private oauthIn(connection: StoredConnection): OAuthConnection | undefined {
    const { tenant, name, version: documentVersion, document } = connection;
    const { credential, tls } = partsOf(this.options.secrets.openedConnection(document).spec.auth);
    return credential.kind === 'oauth2' ? { tenant, name, documentVersion, auth: credential satisfies OAuth, tls } : undefined;
  }

  private oauthOf(connection: StoredConnection): OAuthConnection {
    const client = this.oauthIn(connection);
    if (client === undefined) throw new Error(`The connection ${connection.name} has no OAuth client`);
    return client;
  }

  /** A connection that was disconnected may be authorised again. */
  private enable(client: OAuthConnection): Promise<void> {
    return this.transactions.inTenant(client.tenant, (session) => connectionStateTable.enable(session, client));
  }

  private changed(payload: string): void {
    const [tenant, name] = payload.split('/');
    const one = tenant === undefined || name === undefined || payload === '' ? undefined : { tenant, name };
    if (one === undefined) this.keeper.forgetAll();
    else this.keeper.forget(one);
    for (const listener of this.listeners) listener(one);
  }
}

/** The client certificate of the credential, and what requests carry beside it. */
function partsOf(auth: ConnectionAuth): { credential: Exclude<ConnectionAuth, { kind: 'mtls' }>; tls: ClientCertificate | undefined } {
  if (auth.kind !== 'mtls') return { credential: auth, tls: undefined };
  const { certificate: cert, key, ca, and } = auth;
  return { credential: and ?? { kind: 'none' }, tls: { cert, key: clearText(key), ...(ca === undefined ? {} : { ca }) } };
}
