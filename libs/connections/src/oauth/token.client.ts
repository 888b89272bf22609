import { hash } from 'node:crypto';
import { clearText, messageOf } from '#libs/contracts';
import { HostAddressForbidden } from '#libs/http';
import type { ClientCertificate, HttpAnswer, HttpClient, HttpMethod } from '#libs/http';
import { LruMap } from '#libs/lru';
import { Redaction } from '#libs/redaction';
import { parseRetryAfter } from '#libs/retries';
import { wallTimeMs } from '#libs/time';
import type * as OpenId from 'openid-client';
import { assertionOf } from './assertion.js';
import { accountOf, readTokenAnswer } from './token-answer.js';
import type { OAuth, TokenAnswer } from './token-answer.js';
import { TokenFailure } from './token.failure.js';

/** Tokens as a system gave them. */
export interface Tokens {
  readonly accessToken: string;
  /** Undefined if the answer has none: the one before stays valid (RFC 6749 §6). */
  readonly refreshToken: string | undefined;
  /** Undefined if the system does not say. */
  readonly lifetimeMs: number | undefined;
  readonly scope: string | undefined;
  readonly account: Readonly<Record<string, string>>;
}

/** Deadline of one request to a token endpoint, in ms. */
export const tokenDeadlineMs = 8_000;
const longestAnswerBytes = 256 * 1024;
/** For how long the metadata of an issuer are used, in ms. */
const metadataKeptMs = 3_600_000;

/** Codes by which the client itself is refused, or what it asks for (RFC 6749 §5.2 and what vendors add). */
const refusals = new Set([
  'access_denied',
  'invalid_client',
  'invalid_client_id',
  'invalid_request',
  'invalid_scope',
  'unauthorized_client',
  'unsupported_grant_type',
]);

/** The client of one connection, as an OAuth server sees it. */
export interface OAuthClient {
  readonly auth: OAuth;
  readonly tls: ClientCertificate | undefined;
}

type Metadata = OpenId.ServerMetadata;

/** Identifies the client and the endpoint that tokens belong to. With another client they are worth nothing. */
export function clientDigest(auth: OAuth): string {
  const { grant, issuer, endpoints, clientId } = auth;
  const subject = auth.grant === 'jwtBearer' ? auth.jwt.subject : '';
  return hash('sha256', JSON.stringify([grant, issuer, endpoints?.token, clientId, subject])).slice(0, 32);
}

/** Asks OAuth servers for tokens, through `libs/http`: with its address guard, a deadline and bounded answers. */
export class TokenClient {
  private readonly metadata = new LruMap<string, { readonly found: Metadata; readonly untilMs: number }>(1_000);
  private library: Promise<typeof OpenId> | undefined;

  constructor(private readonly http: HttpClient) {}

  /** A token that needs no consent. @throws TokenFailure */
  async obtain(client: OAuthClient): Promise<Tokens> {
    const { auth } = client;
    if (auth.grant === 'authorizationCode') throw new Error('Only a person can give consent');
    return this.ask(client, async (openId, configuration, metadata) => {
      const parameters = { ...scopeOf(auth), ...auth.tokenParameters };
      if (auth.grant === 'clientCredentials') return openId.clientCredentialsGrant(configuration, parameters);
      const assertion = assertionOf(auth, metadata.token_endpoint!, wallTimeMs());
      return openId.genericGrantRequest(configuration, 'urn:ietf:params:oauth:grant-type:jwt-bearer', { ...parameters, assertion });
    });
  }

  /** @throws TokenFailure */
  refresh(client: OAuthClient, refreshToken: string): Promise<Tokens> {
    const { tokenParameters } = client.auth;
    const secrets = [refreshToken];
    return this.ask(client, (openId, configuration) => openId.refreshTokenGrant(configuration, refreshToken, tokenParameters), secrets);
  }

  /**
   * The address at which a person gives consent.
   * @throws TokenFailure if the metadata of the issuer cannot be had
   */
  async consentUrl(
    client: OAuthClient,
    { redirectUri, state, verifier }: { redirectUri: string; state: string; verifier: string },
  ): Promise<{ url: string; issuer: string | null }> {
    const { auth } = client;
    if (auth.grant !== 'authorizationCode') throw new Error(`The grant ${auth.grant} needs no consent`);
    return this.failing(client, [], async () => {
      const { openId, configuration, metadata } = await this.prepared(client, () => undefined);
      const url = openId.buildAuthorizationUrl(configuration, {
        ...auth.authorizeParameters,
        ...scopeOf(auth),
        redirect_uri: redirectUri,
        state,
        code_challenge: hash('sha256', verifier, 'base64url'),
        code_challenge_method: 'S256',
      });
      return { url: url.href, issuer: auth.issuer === undefined ? null : metadata.issuer };
    });
  }

  /**
   * Redeems the answer of a consent.
   * @param consent.issuer the one that the answer must name if it names one (RFC 9207); null if none is known
   * @throws TokenFailure
   */
  exchange(
    client: OAuthClient,
    { code, issuerNamed, redirectUri, verifier }: { code: string; issuerNamed: string | undefined; redirectUri: string; verifier: string },
  ): Promise<Tokens> {
    const answer = new URL(redirectUri);
    answer.searchParams.set('code', code);
    if (issuerNamed !== undefined && client.auth.issuer !== undefined) answer.searchParams.set('iss', issuerNamed);
    return this.ask(
      client,
      (openId, configuration) =>
        openId.authorizationCodeGrant(configuration, answer, { pkceCodeVerifier: verifier }, client.auth.tokenParameters),
      [code, verifier],
    );
  }

  /** Revokes a token at the system. @returns false if the system has no endpoint for it @throws TokenFailure */
  revoke(client: OAuthClient, token: string): Promise<boolean> {
    return this.failing(client, [token], async () => {
      const { openId, configuration, metadata } = await this.prepared(client, () => undefined);
      if (metadata.revocation_endpoint === undefined) return false;
      await openId.tokenRevocation(configuration, token);
      return true;
    });
  }

  private ask(
    client: OAuthClient,
    request: (openId: typeof OpenId, configuration: OpenId.Configuration, metadata: Metadata) => Promise<OpenId.TokenEndpointResponse>,
    secrets: readonly string[] = [],
  ): Promise<Tokens> {
    return this.failing(client, secrets, async (seen) => {
      const { openId, configuration, metadata } = await this.prepared(client, seen);
      const tokens = await request(openId, configuration, metadata);
      const { keep } = client.auth;
      return {
        accessToken: tokens.access_token,
        refreshToken: tokens.refresh_token,
        lifetimeMs: tokens.expires_in === undefined ? undefined : Math.max(0, tokens.expires_in * 1_000),
        scope: tokens.scope,
        account: { ...accountOf(tokens, keep), ...personOf(tokens) },
      };
    });
  }

  /** Runs a request, and says of its failure what it means. Nothing secret stands in the message. */
  private async failing<T>(
    { auth }: OAuthClient,
    secrets: readonly string[],
    request: (seen: (answer: TokenAnswer, retryAfterMs: number | undefined) => void) => Promise<T>,
  ): Promise<T> {
    let last: { readonly answer: TokenAnswer; readonly retryAfterMs: number | undefined } | undefined;
    try {
      return await request((answer, retryAfterMs) => (last = { answer, retryAfterMs }));
    } catch (error) {
      const redaction = new Redaction([...secrets, ...(auth.clientSecret === undefined ? [] : [clearText(auth.clientSecret)])]);
      throw failureOf(error, last?.answer, last?.retryAfterMs, redaction);
    }
  }

  private async prepared(
    { auth, tls }: OAuthClient,
    seen: (answer: TokenAnswer, retryAfterMs: number | undefined) => void,
  ): Promise<{ openId: typeof OpenId; configuration: OpenId.Configuration; metadata: Metadata }> {
    const openId = await (this.library ??= import('openid-client')); // only processes that have such connections need it
    const metadata = await this.metadataOf(openId, auth, tls);
    const secret = auth.clientSecret === undefined ? undefined : clearText(auth.clientSecret);
    const authentication = {
      post: () => openId.ClientSecretPost(secret),
      basic: () => openId.ClientSecretBasic(secret),
      none: () => openId.None(),
      tls: () => openId.TlsClientAuth(),
    }[auth.clientAuthentication]();
    const configuration = new openId.Configuration(metadata, auth.clientId, undefined, authentication);
    configuration.timeout = undefined; // libs/http has the deadline
    configuration[openId.customFetch] = async (url, options) => {
      const answer = await this.send(url, options, tls);
      if (url !== metadata.token_endpoint) return responseOf(answer.status, answer.body.toString('utf8'), contentTypeOf(answer));
      const read = readTokenAnswer(answer.status, contentTypeOf(answer), answer.body.toString('utf8'), auth.tokenResponse);
      seen(read, parseRetryAfter(answer.headers['retry-after'], wallTimeMs()));
      const { id_token: idToken, ...fields } = read.fields ?? {};
      // Without an issuer nothing says who may have signed an ID token.
      const kept = auth.issuer === undefined || idToken === undefined ? fields : { ...fields, id_token: idToken };
      return responseOf(read.status, read.fields === undefined ? 'no object' : JSON.stringify(kept), 'application/json');
    };
    openId.allowInsecureRequests(configuration); // the document's schema allows http at loopback only
    return { openId, configuration, metadata };
  }

  private async metadataOf(openId: typeof OpenId, auth: OAuth, tls: ClientCertificate | undefined): Promise<Metadata> {
    const { issuer, endpoints } = auth;
    const named = endpoints === undefined ? {} : metadataFrom(endpoints);
    if (issuer === undefined) return { issuer: new URL(endpoints!.token).origin, ...named };
    const known = this.metadata.get(issuer);
    if (known !== undefined && known.untilMs > performance.now()) return { ...known.found, ...named };
    const configuration = await openId.discovery(new URL(issuer), auth.clientId, undefined, openId.None(), {
      [openId.customFetch]: async (url, options) => {
        const answer = await this.send(url, options, tls);
        return responseOf(answer.status, answer.body.toString('utf8'), contentTypeOf(answer));
      },
      execute: [openId.allowInsecureRequests],
    });
    const found = { ...configuration.serverMetadata() } as Metadata;
    this.metadata.set(issuer, { found, untilMs: performance.now() + metadataKeptMs });
    return { ...found, ...named };
  }

  private send(url: string, { method, headers, body }: OpenId.CustomFetchOptions, tls: ClientCertificate | undefined): Promise<HttpAnswer> {
    const text = body === undefined || body === null ? undefined : (body as URLSearchParams | string).toString();
    return this.http.request({
      method: method as HttpMethod,
      url,
      headers: { ...headers, 'user-agent': 'Millrace' },
      body: text,
      timeoutMs: tokenDeadlineMs,
      maxBodyBytes: longestAnswerBytes,
      tls,
    });
  }
}

function metadataFrom(endpoints: NonNullable<OAuth['endpoints']>): Partial<Metadata> {
  return {
    token_endpoint: endpoints.token,
    ...('authorize' in endpoints ? { authorization_endpoint: endpoints.authorize } : {}),
    ...(endpoints.revoke === undefined ? {} : { revocation_endpoint: endpoints.revoke }),
  };
}

function scopeOf({ scopes }: OAuth): { scope?: string } {
  return scopes.length === 0 ? {} : { scope: scopes.join(' ') };
}

/** The person that an ID token names. `openid-client` has compared its issuer, audience and times. */
function personOf(tokens: OpenId.TokenEndpointResponse): Record<string, string> {
  const claims = 'claims' in tokens ? (tokens as OpenId.TokenEndpointResponse & OpenId.TokenEndpointResponseHelpers).claims() : undefined;
  if (claims === undefined) return {};
  const { sub, email } = claims;
  return { sub, ...(typeof email === 'string' ? { email: email.slice(0, 320) } : {}) };
}

function responseOf(status: number, body: string, contentType: string): Response {
  const hasBody = status !== 204 && status !== 205 && status !== 304;
  return new Response(hasBody ? body : null, { status, headers: { 'content-type': contentType } });
}

function contentTypeOf({ headers }: HttpAnswer): string {
  return headers['content-type'] ?? '';
}

function failureOf(error: unknown, answer: TokenAnswer | undefined, retryAfterMs: number | undefined, redaction: Redaction): TokenFailure {
  if (answer === undefined) return new TokenFailure('transient', redaction.apply(causeOf(error)), undefined, { cause: undefined });
  const { status, error: code, fields } = answer;
  const description = fields?.['error_description'];
  const said =
    code === undefined ? `status ${status}` : `${code}${typeof description === 'string' ? ` (${description.slice(0, 300)})` : ''}`;
  const message = redaction.apply(`the token endpoint answered ${said}`);
  if (status === 429 || status >= 500) return new TokenFailure('transient', message, retryAfterMs);
  if (code === 'invalid_grant') return new TokenFailure('grantGone', message);
  if (code !== undefined && refusals.has(code)) return new TokenFailure('refused', message);
  if (status === 401) return new TokenFailure('refused', message);
  if (status >= 200 && status < 300)
    return new TokenFailure('transient', `the answer of the token endpoint cannot be used: ${redaction.apply(causeOf(error))}`);
  return new TokenFailure('transient', message, retryAfterMs);
}

/** The innermost message: `openid-client` wraps what its `fetch` throws as "something went wrong". */
function causeOf(error: unknown): string {
  let innermost = error;
  for (let depth = 0; depth < 5 && innermost instanceof Error && innermost.cause instanceof Error; depth++) {
    if (innermost instanceof HostAddressForbidden) break;
    innermost = innermost.cause;
  }
  return messageOf(innermost).slice(0, 500);
}
