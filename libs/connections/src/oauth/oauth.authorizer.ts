import type { AuthorizedRequest, Authorizer, Login, OutboundRequest } from '../authorizer.js';
import type { CredentialNotes } from '../connection-notes.js';
import { withHeader } from '../credential.js';
import { withCertificate } from '../fixed.authorizer.js';
import type { OAuthConnection, TokenKeeper } from './token.keeper.js';

/** Puts an access token on requests, and renews it before it ends or after it was refused. */
export class OAuthAuthorizer implements Authorizer {
  constructor(
    private readonly keeper: TokenKeeper,
    private readonly connection: OAuthConnection,
    private readonly notes: CredentialNotes,
  ) {}

  async authorize(request: OutboundRequest, signal: AbortSignal): Promise<AuthorizedRequest> {
    const { accessToken, version } = await this.keeper.token(this.connection, signal);
    this.notes.used();
    const { tokenHeader } = this.connection.auth;
    const authorized =
      tokenHeader === undefined
        ? withHeader(request, 'authorization', `Bearer ${accessToken}`)
        : withHeader(request, tokenHeader, accessToken);
    const sent = { ...authorized, secrets: [accessToken], version };
    return withCertificate(sent, this.connection.tls);
  }

  async login(signal: AbortSignal): Promise<Login> {
    const { accessToken: token, version } = await this.keeper.token(this.connection, signal);
    this.notes.used();
    const { tls } = this.connection;
    return { token, secrets: tls === undefined ? [token] : [token, tls.key], version, ...(tls === undefined ? {} : { tls }) };
  }

  async refused({ version }: Pick<AuthorizedRequest, 'version'>, signal: AbortSignal): Promise<boolean> {
    const isNewer = await this.keeper.refused(this.connection, version, signal);
    if (!isNewer) await this.notes.refused();
    return isNewer;
  }

  accepted(): void {
    this.notes.accepted();
  }

  async account(signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    return (await this.keeper.token(this.connection, signal)).account;
  }
}
