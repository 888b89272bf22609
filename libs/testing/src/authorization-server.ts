/* eslint-disable no-console */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The part of `oidc-provider` that is used here; it has no types of its own. */
interface Provider {
  callback(): (incoming: IncomingMessage, outgoing: ServerResponse) => void;
  on(event: string, listener: (context: GrantContext, error?: { error?: string }) => void): void;
  registerGrantType(name: string, handler: (context: AssertionContext) => Promise<void>, parameters: readonly string[]): void;
  Grant: { find(id: string): Promise<{ destroy(): Promise<void> } | undefined> };
  RefreshToken: { revokeByGrantId(id: string): Promise<void> };
  ClientCredentials: {
    new (of: object): { readonly expiration: number; readonly tokenType: string; save(): Promise<string> };
    find(token: string): Promise<object | undefined>;
  };
  AccessToken: { revokeByGrantId(id: string): Promise<void>; find(token: string): Promise<object | undefined> };
}
interface GrantContext {
  oidc: { params?: { grant_type?: string }; entities: { Grant?: { jti: string } } };
}

/** A request to the token endpoint, as the code of a further grant sees it. */
interface AssertionContext {
  oidc: { client: object; params: { assertion?: string; scope?: string }; entity(name: string, value: object): void };
  body: object;
}

export interface AuthorizationServerOptions {
  /** Lifetime of access tokens in seconds; default 3 600. */
  accessTokenSeconds?: number;
  /** Addresses to which the consent page may lead. */
  redirectUris?: readonly string[];
  /**
   * Takes signed statements as a grant (RFC 7523), in the name of the client. `oidc-provider` authenticates the client and issues the token; the statement
   * is for this function to judge. @returns false for one that is not taken
   */
  takesAssertion?: (assertion: string) => boolean;
}

export interface AuthorizationServer {
  /** The issuer. */
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Requests to the token endpoint that succeeded, by grant type. */
  readonly granted: ReadonlyMap<string, number>;
  /** Codes of requests to the token endpoint that failed. */
  readonly refused: readonly string[];
  /** While it is set, the token endpoint answers with this status. */
  fail(status: number | undefined): void;
  /** Goes through the pages of login and consent as a browser does. @returns the address to which the person is sent back */
  consent(authorizeUrl: string, account?: string): Promise<string>;
  /** Ends every grant, as an administrator of the system may. */
  revokeAll(): Promise<void>;
  /** True if the server takes the access token. */
  knows(accessToken: string): Promise<boolean>;
  stop(): Promise<void>;
}

/** A real authorization server (`oidc-provider`) on loopback, with PKCE and rotation: a refresh token that is used twice ends its grant. */
export async function startAuthorizationServer(options: AuthorizationServerOptions = {}): Promise<AuthorizationServer> {
  const { accessTokenSeconds = 3_600, redirectUris = ['https://millrace.example/connections/callback'], takesAssertion } = options;
  const [clientId, clientSecret] = ['millrace', 'a-secret-of-the-client-0123456789'];
  let provider: Provider | undefined;
  let failing: number | undefined;
  const server = createServer((incoming, outgoing) => {
    if (failing !== undefined && incoming.url === '/token') outgoing.writeHead(failing).end('{"error":"server_error"}');
    else provider!.callback()(incoming, outgoing);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const name: string = 'oidc-provider'; // loaded only by the tests that need it
  const { default: OidcProvider, errors } = (await import(name)) as {
    default: new (issuer: string, configuration: object) => Provider;
    errors: { InvalidGrant: new (why: string) => Error };
  };
  const { warn } = console;
  console.warn = () => undefined; // about its development pages and keys
  provider = new OidcProvider(url, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        grant_types: [
          'authorization_code',
          'refresh_token',
          'client_credentials',
          ...(takesAssertion === undefined ? [] : [assertionGrant]),
        ],
        redirect_uris: redirectUris,
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    cookies: { keys: ['a key for tests'] },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
    },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.org` }) }),
    issueRefreshToken: () => true,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    scopes: ['openid', 'offline_access', 'crm'],
    ttl: {
      AccessToken: accessTokenSeconds,
      ClientCredentials: accessTokenSeconds,
      Grant: 86_400,
      Session: 86_400,
      Interaction: 600,
      IdToken: 600,
      RefreshToken: 86_400,
    },
  });
  console.warn = warn;
  if (takesAssertion !== undefined) takeAssertions(provider, takesAssertion, errors.InvalidGrant);
  const granted = new Map<string, number>();
  const refused: string[] = [];
  const grants = new Set<string>();
  provider.on('grant.success', ({ oidc: { params, entities } }) => {
    const type = params?.grant_type ?? '';
    granted.set(type, (granted.get(type) ?? 0) + 1);
    if (entities.Grant !== undefined) grants.add(entities.Grant.jti);
  });
  provider.on('grant.error', (_, error) => refused.push(error?.error ?? 'unknown'));
  return {
    url,
    clientId,
    clientSecret,
    granted,
    refused,
    fail: (status) => (failing = status),
    consent: (authorizeUrl, account = 'alice') => throughPages(url, authorizeUrl, account),
    revokeAll: async () => {
      for (const id of grants) {
        await (await provider.Grant.find(id))?.destroy();
        await provider.RefreshToken.revokeByGrantId(id);
        await provider.AccessToken.revokeByGrantId(id);
      }
      grants.clear();
    },
    knows: async (accessToken) =>
      ((await provider.AccessToken.find(accessToken)) ?? (await provider.ClientCredentials.find(accessToken))) !== undefined,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const assertionGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

function takeAssertions(
  provider: Provider,
  takesAssertion: (assertion: string) => boolean,
  InvalidGrant: new (why: string) => Error,
): void {
  const grant = async (context: AssertionContext): Promise<void> => {
    const { oidc } = context;
    if (!takesAssertion(oidc.params.assertion ?? '')) throw new InvalidGrant('the statement is not taken');
    const token = new provider.ClientCredentials({ client: oidc.client, scope: oidc.params.scope });
    oidc.entity('ClientCredentials', token);
    context.body = { access_token: await token.save(), expires_in: token.expiration, token_type: token.tokenType };
  };
  provider.registerGrantType(assertionGrant, grant, ['assertion', 'scope']);
}

const mostPages = 12;

async function throughPages(issuer: string, authorizeUrl: string, account: string): Promise<string> {
  const cookies = new Map<string, string>();
  const request = async (url: string, form?: Record<string, string>): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (value === '') cookies.delete(name!);
      else cookies.set(name!, value!);
    }
    return response;
  };
  let next = authorizeUrl;
  for (let page = 0; page < mostPages; page++) {
    if (!next.startsWith(issuer)) return next;
    const response = await request(next);
    const location = response.headers.get('location');
    if (location !== null) {
      next = new URL(location, next).href;
      continue;
    }
    const html = await response.text();
    const prompt = /name="prompt" value="(\w+)"/.exec(html)?.[1];
    if (prompt === undefined) throw new Error(`No page of login or consent: ${response.status} ${html.slice(0, 300)}`);
    const answered = await request(next, prompt === 'login' ? { prompt, login: account, password: 'any' } : { prompt });
    next = new URL(answered.headers.get('location')!, next).href;
  }
  throw new Error('The pages do not end');
}
