import { readFile } from 'node:fs/promises';
import { HostTimedOut, HostUnreachable, HttpClient } from '#libs/http';
import type { HttpAnswer } from '#libs/http';
import { parseJson } from '#libs/json';
import { SecretEntryMissing, SecretStoreUnavailable, secretTextOf } from './secret-store.js';
import type { SecretEntry, SecretStore } from './secret-store.js';

/** How Millrace proves to Vault who it is. */
export type VaultLogin =
  /** A file with a token, such as the sink of Vault’s agent. It is read for each request, so a renewed token counts. */
  | { readonly kind: 'token'; readonly tokenFile: string }
  /** A role with the token of the pod’s service account, or another JWT, which is read from its file for each login. */
  | { readonly kind: 'jwt'; readonly mount: string; readonly role: string; readonly jwtFile: string }
  | { readonly kind: 'approle'; readonly mount: string; readonly roleId: string; readonly secretIdFile: string };

export interface VaultOptions {
  /** Such as `https://vault.internal:8200`. */
  readonly address: string;
  /** PEM of the authorities that its certificate comes from. Default: those that Node trusts. */
  readonly ca?: string | undefined;
  /** A namespace of Vault Enterprise or HCP. */
  readonly namespace?: string | undefined;
  /** The mount of the KV engine, version 2. */
  readonly mount: string;
  /** The path within the mount below which each tenant has a part. */
  readonly prefix: string;
  readonly login: VaultLogin;
  /** How long one request may take. Default 5 000 ms. */
  readonly timeoutMs?: number;
}

interface Granted {
  readonly text: string;
  /** 0: it does not end. */
  readonly leaseMs: number;
}

/** A token of a login, which is used for two thirds of its lease. */
class VaultToken {
  readonly text: Promise<string>;
  private until = Infinity;

  constructor(login: Promise<Granted>) {
    this.text = login.then(({ text, leaseMs }) => {
      if (leaseMs > 0) this.until = performance.now() + (leaseMs * 2) / 3;
      return text;
    });
  }

  isOver(): boolean {
    return performance.now() >= this.until;
  }
}

/** The longest response that is read. */
const longestResponseBytes = 1024 * 1024;

/**
 * HashiCorp Vault, or OpenBao: the KV secrets engine, version 2, at `MOUNT/data/PREFIX/TENANT/PATH`. Tokens are obtained by login, and anew before they
 * end or when Vault refuses them.
 * @see https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#read-secret-version
 */
export class VaultStore implements SecretStore {
  readonly title: string;
  private readonly http: HttpClient;
  private token: VaultToken | undefined;

  constructor(private readonly options: VaultOptions) {
    this.title = `Vault at ${options.address}`;
    this.http = new HttpClient({ allowPrivateAddresses: true });
  }

  async read(tenant: string, path: string): Promise<SecretEntry> {
    const place = [this.options.prefix, tenant, path].filter((part) => part !== '').join('/');
    const api = `/v1/${this.options.mount}/data/${place}`;
    const first = await this.asked(api);
    const answer = first.status === 403 && this.options.login.kind !== 'token' ? await this.askedAnew(api) : first;
    const where = `${this.options.mount}/${place}`;
    if (answer.status === 404) throw new SecretEntryMissing(`is not in Vault: it has no ${where}, or its current version was deleted`);
    if (answer.status === 403)
      throw new SecretEntryMissing(
        `is not given by Vault: the policy of Millrace must allow read on ${this.options.mount}/data/${this.options.prefix}/${tenant}/*`,
      );
    if (answer.status !== 200) throw new SecretStoreUnavailable(this.title, `answered the read of ${where} with status ${answer.status}`);
    const data = (jsonOf(answer) as { data?: { data?: unknown } } | undefined)?.data?.data;
    if (typeof data !== 'object' || data === null)
      throw new SecretStoreUnavailable(this.title, `answered the read of ${where} with no entry of a KV engine of version 2`);
    const texts = Object.entries(data as Record<string, unknown>).map(
      ([key, value]) => [key, typeof value === 'string' ? secretTextOf(Buffer.from(value)) : { problem: 'is no text' }] as const,
    );
    return new Map(texts);
  }

  close(): Promise<void> {
    return this.http.close();
  }

  private async asked(api: string): Promise<HttpAnswer> {
    return this.request('GET', api, { 'x-vault-token': await this.currentToken() });
  }

  /** A token that Vault revoked, or forgot in a restart, is refused as one is whose policy does not allow the read. */
  private askedAnew(api: string): Promise<HttpAnswer> {
    this.token = undefined;
    return this.asked(api);
  }

  /** Reads at the same time share a login. One that failed is not kept. */
  private async currentToken(): Promise<string> {
    const { login } = this.options;
    if (login.kind === 'token') return this.fileText(login.tokenFile);
    if (this.token?.isOver() === true) this.token = undefined;
    const token = (this.token ??= new VaultToken(this.login(login)));
    try {
      return await token.text;
    } catch (error) {
      if (this.token === token) this.token = undefined;
      throw error;
    }
  }

  /** @see https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login */
  private async login(login: Exclude<VaultLogin, { kind: 'token' }>): Promise<Granted> {
    const body =
      login.kind === 'jwt'
        ? { role: login.role, jwt: await this.fileText(login.jwtFile) }
        : { role_id: login.roleId, secret_id: await this.fileText(login.secretIdFile) };
    const api = `/v1/auth/${login.mount}/login`;
    const answer = await this.request('POST', api, {}, JSON.stringify(body));
    const { auth } = (jsonOf(answer) ?? {}) as { auth?: { client_token?: unknown; lease_duration?: unknown } };
    if (answer.status !== 200 || typeof auth?.client_token !== 'string')
      throw new SecretStoreUnavailable(this.title, `refused the login at auth/${login.mount} with status ${answer.status}`);
    return { text: auth.client_token, leaseMs: typeof auth.lease_duration === 'number' ? auth.lease_duration * 1_000 : 0 };
  }

  private async request(method: 'GET' | 'POST', api: string, headers: Record<string, string>, body?: string): Promise<HttpAnswer> {
    const { address, ca, namespace, timeoutMs = 5_000 } = this.options;
    try {
      const answer = await this.http.request({
        method,
        url: `${address.replace(/\/+$/, '')}${api}`,
        headers: { 'x-vault-request': 'true', ...(namespace !== undefined && { 'x-vault-namespace': namespace }), ...headers },
        body,
        timeoutMs,
        maxBodyBytes: longestResponseBytes,
        tls: ca === undefined ? undefined : { ca },
      });
      if (answer.ending !== 'complete') throw new SecretStoreUnavailable(this.title, `did not answer whole (${answer.ending})`);
      return answer;
    } catch (error) {
      if (!(error instanceof HostUnreachable || error instanceof HostTimedOut)) throw error;
      throw new SecretStoreUnavailable(this.title, `does not answer: ${error.message}`, error);
    }
  }

  private async fileText(path: string): Promise<string> {
    try {
      return (await readFile(path, 'utf8')).trim();
    } catch (error) {
      throw new SecretStoreUnavailable(
        this.title,
        `cannot be asked: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`,
        error,
      );
    }
  }
}

function jsonOf({ body }: HttpAnswer): unknown {
  try {
    return parseJson(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
