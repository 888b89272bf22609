import { hash, randomBytes } from 'node:crypto';
import type { SecretBox } from '#libs/auth';
import { name as nameSchema } from '#libs/contracts';
import { ConsentRefused } from '../connection.errors.js';
import { connectionStateTable } from '../state/connection-state.table.js';
import { consentTable } from './consent.table.js';
import type { Consent } from './consent.table.js';
import { clientDigest } from './token.client.js';
import type { TokenClient, Tokens } from './token.client.js';
import { TokenFailure } from './token.failure.js';
import { placeOf } from './token.keeper.js';
import type { OAuthConnection, TenantTransactions, TokenKeeper } from './token.keeper.js';

/** How long a person has for the consent, in ms. */
export const consentValidMs = 600_000;

export interface ConsentRequest {
  /** Who asks for it, such as `key:k1`. */
  readonly principal: string;
  /** The address at which the answer arrives. It is registered at the system. */
  readonly redirectUri: string;
  /** True if another account than the one before may be connected. */
  readonly allowOtherAccount: boolean;
}

/** The parameters with which the system sent the person back. */
export interface ConsentAnswer {
  readonly state: string | undefined;
  readonly code: string | undefined;
  /** The issuer (RFC 9207). */
  readonly iss: string | undefined;
  readonly error: string | undefined;
}

/** A consent that gave tokens. */
export interface GivenConsent {
  readonly tenant: string;
  readonly connection: string;
  /** Who had asked for it. */
  readonly principal: string;
  readonly account: Readonly<Record<string, string>>;
}

/** Sends people to the consent pages of systems, and redeems what they come back with. */
export class Consents {
  constructor(
    private readonly transactions: TenantTransactions,
    private readonly secretBox: SecretBox,
    private readonly client: TokenClient,
    private readonly keeper: TokenKeeper,
  ) {}

  /** @returns the address that a person opens @throws TokenFailure if the metadata of the issuer cannot be had */
  async begin(connection: OAuthConnection, { principal, redirectUri, allowOtherAccount }: ConsentRequest): Promise<string> {
    const { tenant, name, auth } = connection;
    const state = `${tenant}.${randomBytes(32).toString('base64url')}`; // the tenant, because row-level security binds whoever reads the answer
    const verifier = randomBytes(48).toString('base64url');
    const { url, issuer } = await this.client.consentUrl(connection, { redirectUri, state, verifier });
    const sealed = this.secretBox.seal(verifier, placeOf(connection, 'verifier')).sealed;
    const consent = {
      tenant,
      id: idOf(state),
      name,
      principal,
      verifier: sealed,
      issuer,
      client: clientDigest(auth),
      redirectUri,
      allowOtherAccount,
    };
    await this.transactions.inTenant(tenant, (session) => consentTable.insert(session, consent, consentValidMs));
    return url;
  }

  /**
   * Takes what a person came back with. An answer can be given once, whether or not it succeeds.
   * @param find the connection as it is now
   * @throws ConsentRefused, StorageUnavailable
   */
  async complete(
    { state, code, iss, error }: ConsentAnswer,
    find: (tenant: string, name: string) => Promise<OAuthConnection | undefined>,
  ): Promise<GivenConsent> {
    const consent = await this.take(state);
    const { tenant, name, principal } = consent;
    const refuse = (reason: ConstructorParameters<typeof ConsentRefused>[0], detail?: string): ConsentRefused =>
      new ConsentRefused(reason, { tenant, connection: name, principal }, detail);
    if (consent.issuer !== null && iss !== undefined && iss !== consent.issuer) throw refuse('issuer');
    if (error !== undefined) throw refuse('denied', /^[\w.-]{1,60}$/.test(error) ? error : undefined);
    if (code === undefined || code === '') throw refuse('malformed');
    const connection = await find(tenant, name);
    if (connection === undefined || clientDigest(connection.auth) !== consent.client) throw refuse('changed');
    const verifier = this.secretBox.open(consent.verifier, placeOf(connection, 'verifier'));
    const { redirectUri } = consent;
    const tokens = await this.client.exchange(connection, { code, issuerNamed: iss, redirectUri, verifier }).catch((failure: unknown) => {
      if (!(failure instanceof TokenFailure)) throw failure;
      throw refuse(failure.kind === 'transient' ? 'unavailable' : 'refused', failure.message);
    });
    const isAdopted = await this.transactions.inTenant(tenant, async (session) => {
      const row = await connectionStateTable.lock(session, connection);
      const before = row.client === consent.client ? (row.account ?? {}) : {};
      if (!consent.allowOtherAccount && isOther(before, tokens.account)) return false;
      await this.keeper.adopt(session, connection, row, tokens);
      return true;
    });
    if (isAdopted) return { tenant, connection: name, principal, account: tokens.account };
    await this.giveBack(connection, tokens);
    throw refuse('otherAccount');
  }

  private async take(state: string | undefined): Promise<Consent> {
    const [tenant = ''] = (state ?? '').split('.');
    if (state === undefined || state.length > 200 || !nameSchema.safeParse(tenant).success) throw new ConsentRefused('unknown');
    const consent = await this.transactions.inTenant(tenant, (session) => consentTable.take(session, tenant, idOf(state)));
    if (consent === undefined) throw new ConsentRefused('unknown');
    if (!consent.isLate) return consent;
    throw new ConsentRefused('late', { tenant, connection: consent.name, principal: consent.principal });
  }

  /** Tokens that nobody will use. */
  private async giveBack(connection: OAuthConnection, { accessToken, refreshToken }: Tokens): Promise<void> {
    await this.client.revoke(connection, refreshToken ?? accessToken).catch(() => false);
  }
}

function idOf(state: string): string {
  return hash('sha256', state, 'base64url');
}

function isOther(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): boolean {
  return Object.entries(after).some(([field, value]) => before[field] !== undefined && before[field] !== value);
}
