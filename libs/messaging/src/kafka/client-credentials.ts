import { asDoubles, parseJson } from '#libs/json';
import { timeoutSignal } from '#libs/time';

export interface ClientCredentialsOptions {
  /** The token endpoint. */
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope?: string | undefined;
}

const timeoutMs = 10_000;
/** The share of a token's life after which another one is fetched. */
const usedLife = 0.8;
/** The life of a token whose response names none, in seconds. */
const unnamedLifeSeconds = 300;

/** Fetches tokens by client credentials (RFC 6749 §4.4), and keeps each for most of its life. */
export class ClientCredentials {
  private static readonly ofLogin = new Map<string, ClientCredentials>();
  private kept: { token: Promise<string>; untilMs: number } | undefined;

  /** The credentials of a login, of which a process has one: its clients, a dozen or more, share one token. */
  static for(options: ClientCredentialsOptions): ClientCredentials {
    const { tokenUrl, clientId, clientSecret, scope } = options;
    const login = JSON.stringify([tokenUrl, clientId, clientSecret, scope]);
    const known = ClientCredentials.ofLogin.get(login) ?? new ClientCredentials(options);
    ClientCredentials.ofLogin.set(login, known);
    return known;
  }

  /** @param now in ms; default: the monotonic clock */
  constructor(
    private readonly options: ClientCredentialsOptions,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @throws Error with the status of a refusal, never with what was sent or received */
  token(): Promise<string> {
    if (this.kept !== undefined && this.now() < this.kept.untilMs) return this.kept.token;
    const kept = { token: this.fetch((lifeMs) => (kept.untilMs = this.now() + lifeMs)), untilMs: Infinity };
    this.kept = kept;
    kept.token.catch(() => {
      if (this.kept === kept) this.kept = undefined;
    });
    return kept.token;
  }

  private async fetch(lives: (ms: number) => void): Promise<string> {
    const { tokenUrl, clientId, clientSecret, scope } = this.options;
    const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64');
    const response = await fetch(tokenUrl, {
      method: 'POST',
      headers: { authorization: `Basic ${basic}`, accept: 'application/json' },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) }),
      redirect: 'error',
      signal: timeoutSignal(timeoutMs),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new Error(`${tokenUrl} refused the client credentials of the log with status ${response.status}`);
    }
    const { access_token: token, expires_in: seconds } = tokenIn(await response.text());
    if (typeof token !== 'string' || token === '') throw new Error(`${tokenUrl} answered without an access_token`);
    const life = typeof seconds === 'number' && seconds > 0 ? seconds : unnamedLifeSeconds;
    lives(life * 1_000 * usedLife);
    return token;
  }
}

/** Empty if the text is no JSON object: the engine's error would repeat the text. */
function tokenIn(text: string): { readonly access_token?: unknown; readonly expires_in?: unknown } {
  try {
    return asDoubles(parseJson(text)) ?? {};
  } catch {
    return {};
  }
}
