import type { SecretBox, SecretPlace } from '#libs/auth';
import { messageOf } from '#libs/contracts';
import { LruMap } from '#libs/lru';
import { StorageUnavailable } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import { delayBefore } from '#libs/retries';
import { sleep } from '#libs/time';
import { counter, logger } from '#libs/tracing';
import { ConnectionNeedsReauth, ConnectionUnavailable } from '../connection.errors.js';
import type { ReauthNeed } from '../connection.errors.js';
import { connectionStateTable as table } from '../state/connection-state.table.js';
import type { ConnectionName, LockedState, NewTokens } from '../state/connection-state.table.js';
import { TokenFailure } from './token.failure.js';
import type { OAuthClient, TokenClient, Tokens } from './token.client.js';
import { clientDigest } from './token.client.js';
import { FairSlots } from './fair-slots.js';
import type { OAuth } from './token-answer.js';

/** Runs transactions of one tenant. */
export interface TenantTransactions {
  inTenant<T>(tenant: string, work: (session: Session) => Promise<T>): Promise<T>;
}

/** A connection as its document has it, opened. */
export interface OAuthConnection extends ConnectionName, OAuthClient {
  readonly documentVersion: number;
}

/** An access token, in memory only as long as it is fresh. */
export interface AccessToken {
  readonly accessToken: string;
  readonly version: number;
  readonly account: Readonly<Record<string, string>>;
}

interface Cached extends AccessToken {
  readonly client: string;
  /** By the monotonic clock of this process. */
  readonly freshUntilMs: number;
}

/**
 * Why a token is asked for.
 * - `due`: one that is fresh does
 * - `refused`: the system refused the one of `version`
 * - `forced`: a person asks for a new one, also after a refusal
 * - `idle`: the one before is older than this, and nobody used the grant since
 */
export type TokenRequest =
  | { readonly why: 'due' }
  | { readonly why: 'refused'; readonly version: number }
  | { readonly why: 'forced' }
  | { readonly why: 'idle'; readonly olderThanMs: number };

/** The most that a token is renewed before its end; of a short lifetime a tenth. */
const longestSkewMs = 60_000;
/** A token that was obtained a moment ago and is refused all the same is not renewed again. */
const justObtainedMs = 30_000;
const backOff = { retries: Infinity, initialDelayMs: 1_000, factor: 2, maxDelayMs: 60_000, jitter: 0.5 };
const rememberedTokens = 10_000;
/** A refresh holds a connection to Postgres while it asks the token endpoint. */
const mostAtOnce = 6;
const mostOfTenant = 2;
const storeTries = 5;

const refreshes = counter('millrace_connection_refreshes_total', 'Requests for a new token of a connection, by outcome.', {
  tenant: 'the tenant',
  outcome: '`ok`, `grantGone`, `refused` or `transient`',
});
const log = logger('connections');

type Result =
  | { readonly token: Cached }
  | { readonly failure: ConnectionNeedsReauth | ConnectionUnavailable }
  | { readonly unhelpful: true };

/**
 * Keeps the tokens of connections: in Postgres, sealed, and fresh ones in memory. All processes together ask for a new token once, because the
 * row stays locked while one of them does.
 */
export class TokenKeeper {
  private cache = new LruMap<string, Cached>(rememberedTokens);
  private readonly underWay = new Map<string, Promise<Result>>();
  private readonly turns = new FairSlots(mostAtOnce, mostOfTenant);

  constructor(
    private readonly transactions: TenantTransactions,
    private readonly secretBox: SecretBox,
    private readonly client: TokenClient,
    private readonly random: () => number = Math.random,
  ) {}

  /** @throws ConnectionNeedsReauth, ConnectionUnavailable, StorageUnavailable; the signal's reason if that ended the wait, while the request goes on */
  async token(connection: OAuthConnection, signal: AbortSignal): Promise<AccessToken> {
    const known = this.cached(connection);
    if (known !== undefined) return known;
    return tokenOf(await this.ask(connection, { why: 'due' }, signal));
  }

  /**
   * The system refused the token of this version.
   * @returns true if there is a newer one now
   */
  async refused(connection: OAuthConnection, version: number, signal: AbortSignal): Promise<boolean> {
    const key = keyOf(connection);
    if (this.cache.get(key)?.version === version) this.cache.delete(key);
    const result = await this.ask(connection, { why: 'refused', version }, signal);
    return !('unhelpful' in result) && !('failure' in result);
  }

  /** Asks for a new token, whatever the one before is worth. @throws as {@link token} */
  async renew(connection: OAuthConnection, signal: AbortSignal): Promise<AccessToken> {
    return tokenOf(await this.ask(connection, { why: 'forced' }, signal));
  }

  /** Renews a token that is older than this, so that the grant does not end by itself. */
  async renewIdle(connection: OAuthConnection, olderThanMs: number): Promise<void> {
    await this.ask(connection, { why: 'idle', olderThanMs }, new AbortController().signal);
  }

  /** The state of the connection changed elsewhere. */
  forget({ tenant, name }: ConnectionName): void {
    this.cache.delete(keyOf({ tenant, name }));
  }

  /** The state of any connection may have changed elsewhere. */
  forgetAll(): void {
    this.cache = new LruMap<string, Cached>(rememberedTokens);
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.underWay.values());
  }

  /** Stores the tokens of a consent. The row is locked by the caller. */
  async adopt(session: Session, connection: OAuthConnection, row: LockedState, tokens: Tokens): Promise<void> {
    await table.storeTokens(session, connection, row.version, this.sealed(connection, row, tokens, row.nowMs), true);
    this.forget(connection);
  }

  /** The tokens of a row in the clear, for their revocation. */
  opened(connection: ConnectionName, row: LockedState): { accessToken: string | undefined; refreshToken: string | undefined } {
    return {
      accessToken: row.accessToken === null ? undefined : this.secretBox.open(row.accessToken, placeOf(connection, 'accessToken')),
      refreshToken: row.refreshToken === null ? undefined : this.secretBox.open(row.refreshToken, placeOf(connection, 'refreshToken')),
    };
  }

  private cached(connection: OAuthConnection): Cached | undefined {
    const known = this.cache.get(keyOf(connection));
    const isFresh = known !== undefined && known.freshUntilMs > performance.now() && known.client === clientDigest(connection.auth);
    return isFresh ? known : undefined;
  }

  /** One request for a connection at a time in this process; callers that come meanwhile get its result, if it answers their question. */
  private async ask(connection: OAuthConnection, request: TokenRequest, signal: AbortSignal): Promise<Result> {
    signal.throwIfAborted();
    const key = keyOf(connection);
    const kind = request.why === 'refused' ? `refused ${request.version}` : request.why;
    const flight = `${key} ${connection.documentVersion} ${kind}`;
    let flying = this.underWay.get(flight);
    if (flying === undefined) {
      flying = this.turns.run(connection.tenant, () => this.fly(connection, request)).finally(() => this.underWay.delete(flight));
      this.underWay.set(flight, flying);
    }
    return Promise.race([flying, rejectionOn(signal)]);
  }

  private async fly(connection: OAuthConnection, request: TokenRequest): Promise<Result> {
    const { tenant } = connection;
    const obtained: Obtained = {};
    try {
      const begun = await this.transactions.inTenant(tenant, (session) => this.begin(session, connection, request));
      if (typeof begun !== 'number') return this.remembered(connection, begun);
      const result = await this.transactions.inTenant(tenant, (session) => this.underLock(session, connection, request, begun, obtained));
      return this.remembered(connection, result);
    } catch (error) {
      if (!(error instanceof StorageUnavailable) || obtained.tokens === undefined) throw error;
      return this.remembered(connection, await this.storeAgain(connection, obtained, error));
    }
  }

  /** @returns the answer if there is one without a request; else the time of a refresh whose answer nobody stored, 0 if there is none */
  private async begin(session: Session, connection: OAuthConnection, request: TokenRequest): Promise<Result | number> {
    const row = await table.lock(session, connection);
    const answer = this.answerWithout(connection, row, request);
    if (answer !== undefined) return answer;
    await table.startRefresh(session, connection); // committed before the request, so that a crash leaves a trace
    return row.refreshStartedAtMs ?? 0;
  }

  private async underLock(
    session: Session,
    connection: OAuthConnection,
    request: TokenRequest,
    lostAtMs: number,
    obtained: Obtained,
  ): Promise<Result> {
    const row = await table.lock(session, connection);
    const answer = this.answerWithout(connection, row, request); // another process may have been faster
    if (answer !== undefined) return answer;
    const { tenant, name } = connection;
    try {
      const tokens = await this.request(connection, row);
      refreshes.inc({ tenant, outcome: 'ok' });
      const stored = this.sealed(connection, row, tokens, row.nowMs);
      Object.assign(obtained, { tokens: stored, after: row.version });
      await table.storeTokens(session, connection, row.version, stored, row.state !== 'connected');
      return { token: this.cachedOf(connection, row.version + 1, tokens.accessToken, stored, row.nowMs) };
    } catch (error) {
      if (!(error instanceof TokenFailure)) throw error;
      refreshes.inc({ tenant, outcome: error.kind });
      log.warn({ tenant, connection: name, kind: error.kind, error: error.message }, 'a connection got no token');
      return this.failed(session, connection, row, error, lostAtMs);
    }
  }

  /** The answer that the row alone gives. Undefined: the token endpoint has to be asked. */
  private answerWithout(connection: OAuthConnection, row: LockedState, request: TokenRequest): Result | undefined {
    const { name, auth, documentVersion } = connection;
    const failure = (need: ReauthNeed, why: string): Result => ({ failure: new ConnectionNeedsReauth(name, need, why) });
    if (row.state === 'disabled') return failure('connect', 'it was disconnected');
    const isOwn = row.client === clientDigest(auth);
    const current = isOwn ? this.tokenIn(connection, row) : undefined;
    if (request.why === 'due' && current !== undefined && current.freshUntilMs > performance.now()) return { token: current };
    if (request.why === 'refused') {
      if (current !== undefined && row.version !== request.version) return { token: current };
      if (row.obtainedAtMs !== null && row.nowMs - row.obtainedAtMs < justObtainedMs) return { unhelpful: true };
    }
    if (request.why === 'idle' && row.obtainedAtMs !== null && row.nowMs - row.obtainedAtMs < request.olderThanMs)
      return { unhelpful: true };
    const isNewer = row.documentVersion !== null && documentVersion > row.documentVersion;
    const mayTryAgain = request.why === 'forced' || isNewer || !isOwn;
    if (row.state === 'needsReauth' && !mayTryAgain) {
      const isOfGrant = auth.grant === 'authorizationCode' && row.refreshToken === null;
      return isOfGrant ? failure('consent', 'the system refused to renew its token') : failure('client', 'the token endpoint refused them');
    }
    if (auth.grant === 'authorizationCode' && (!isOwn || row.refreshToken === null)) {
      if (request.why === 'due' && current !== undefined && !hasEnded(row)) return { token: current };
      if (!isOwn || row.version === 0) return failure('consent', 'nobody has given consent yet');
      return failure('consent', 'its token has ended, and the system gave none to renew it with');
    }
    if (request.why !== 'forced' && isOwn && row.retryAtMs !== null && row.retryAtMs > row.nowMs) {
      if (request.why === 'due' && current !== undefined && !hasEnded(row)) return { token: current };
      const retryInMs = Math.ceil(row.retryAtMs - row.nowMs);
      return { failure: new ConnectionUnavailable(name, 'the last request for one failed', retryInMs) };
    }
    return undefined;
  }

  private request(connection: OAuthConnection, row: LockedState): Promise<Tokens> {
    if (connection.auth.grant !== 'authorizationCode') return this.client.obtain(connection);
    return this.client.refresh(connection, this.opened(connection, row).refreshToken!);
  }

  private async failed(
    session: Session,
    connection: OAuthConnection,
    row: LockedState,
    error: TokenFailure,
    lostAtMs: number,
  ): Promise<Result> {
    const { name, documentVersion, auth } = connection;
    const client = clientDigest(auth);
    const isOwn = row.client === client;
    if (error.kind === 'transient') {
      const waitMs = delayBefore(backOff, Math.min(row.failures + 1, 20), {
        ...(error.retryAfterMs && { retryAfterMs: error.retryAfterMs }),
        random: this.random,
      });
      const failed = { code: 'connection.unavailable', message: error.message };
      const state = row.state === 'needsReauth' ? 'needsReauth' : 'degraded';
      const dropTokens = !isOwn;
      await table.fail(session, connection, {
        state,
        documentVersion,
        client,
        dropTokens,
        retryAtMs: row.nowMs + waitMs,
        failed,
        tell: row.state !== state,
      });
      const current = isOwn && !hasEnded(row) ? this.tokenIn(connection, row) : undefined;
      return current === undefined ? { failure: new ConnectionUnavailable(name, error.message, waitMs) } : { token: current };
    }
    const lost = lostAtMs === 0 ? '' : `; the answer to a refresh at ${new Date(lostAtMs).toISOString()} was lost, which may be the reason`;
    const failure = new ConnectionNeedsReauth(name, needAfter(error, auth), error.message + lost);
    const dropTokens = error.kind === 'grantGone' || !isOwn;
    const failed = { code: failure.code, message: error.message + lost };
    await table.fail(session, connection, {
      state: 'needsReauth',
      documentVersion,
      client,
      dropTokens,
      retryAtMs: null,
      failed,
      tell: true,
    });
    return { failure };
  }

  private sealed(connection: OAuthConnection, row: LockedState, tokens: Tokens, atMs: number): NewTokens {
    const { auth, documentVersion } = connection;
    const client = clientDigest(auth);
    const kept = row.client === client ? row.refreshToken : null;
    const { accessToken, lifetimeMs, scope, account } = tokens;
    const refreshToken = auth.grant === 'authorizationCode' ? tokens.refreshToken : undefined; // the others can always ask anew
    return {
      client,
      documentVersion,
      accessToken: this.secretBox.seal(accessToken, placeOf(connection, 'accessToken')).sealed,
      refreshToken: refreshToken === undefined ? kept : this.secretBox.seal(refreshToken, placeOf(connection, 'refreshToken')).sealed,
      scope: scope ?? null,
      account: { ...(row.client === client ? row.account : null), ...account },
      obtainedAtMs: atMs,
      expiresAtMs: lifetimeMs === undefined ? null : atMs + lifetimeMs,
    };
  }

  private tokenIn(connection: OAuthConnection, row: LockedState): Cached | undefined {
    const { accessToken } = this.opened(connection, row);
    if (accessToken === undefined) return undefined;
    const { obtainedAtMs, expiresAtMs, account } = row;
    return this.cachedOf(
      connection,
      row.version,
      accessToken,
      { obtainedAtMs: obtainedAtMs ?? 0, expiresAtMs, account: account ?? {} },
      row.nowMs,
    );
  }

  private cachedOf(
    connection: OAuthConnection,
    version: number,
    accessToken: string,
    { obtainedAtMs, expiresAtMs, account }: Pick<NewTokens, 'obtainedAtMs' | 'expiresAtMs' | 'account'>,
    nowMs: number,
  ): Cached {
    const skewMs = expiresAtMs === null ? 0 : Math.min(longestSkewMs, (expiresAtMs - obtainedAtMs) / 10) * (1 + 0.2 * this.random());
    const freshForMs = expiresAtMs === null ? Infinity : expiresAtMs - skewMs - nowMs;
    const client = clientDigest(connection.auth);
    return { accessToken, version, account, client, freshUntilMs: performance.now() + freshForMs };
  }

  private remembered(connection: OAuthConnection, result: Result): Result {
    if ('token' in result) this.cache.set(keyOf(connection), result.token);
    return result;
  }

  /** The system gave new tokens, and the connection to Postgres broke before they were stored. A refresh token that was used once may be worth nothing. */
  private async storeAgain(connection: OAuthConnection, { tokens, after }: Obtained, cause: StorageUnavailable): Promise<Result> {
    for (let tried = 1; tried <= storeTries; tried++) {
      await sleep(200 * tried);
      try {
        return await this.transactions.inTenant(connection.tenant, async (session) => {
          await table.storeTokens(session, connection, after!, tokens!, true);
          return this.answerWithout(connection, await table.lock(session, connection), { why: 'due' }) ?? { unhelpful: true };
        });
      } catch (error) {
        log.warn({ tenant: connection.tenant, connection: connection.name, error: messageOf(error) }, 'new tokens are not stored yet');
      }
    }
    throw cause;
  }
}

/** The tokens that an endpoint gave, so that it is stored even if the connection to Postgres breaks. */
interface Obtained {
  tokens?: NewTokens;
  /** The version that they follow. */
  after?: number;
}

function tokenOf(result: Result): AccessToken {
  if ('token' in result) return result.token;
  if ('failure' in result) throw result.failure;
  throw new Error('Only a token that was refused can be asked for in vain');
}

function hasEnded({ expiresAtMs, nowMs }: LockedState): boolean {
  return expiresAtMs !== null && expiresAtMs <= nowMs;
}

/** Unlike the places of a document's secrets, which begin with `spec`. */
export function placeOf({ tenant, name }: ConnectionName, field: 'accessToken' | 'refreshToken' | 'verifier'): SecretPlace {
  return { tenant, kind: 'Connection', name, field: `state.${field}` };
}

function keyOf({ tenant, name }: ConnectionName): string {
  return `${tenant}/${name}`;
}

function rejectionOn(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  return promise;
}

/** Without a person’s grant there is nothing to consent to again. */
function needAfter({ kind }: TokenFailure, { grant }: OAuth): ReauthNeed {
  return kind === 'grantGone' && grant === 'authorizationCode' ? 'consent' : 'client';
}
