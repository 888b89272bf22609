import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createPlainServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { parseJson } from '#libs/json';

/** A Vault on loopback with what Millrace uses of it: KV version 2, logins by JWT and AppRole, leases, policies, namespaces, and being sealed. */
export interface VaultStandIn {
  readonly url: string;
  /** How often somebody logged in. */
  readonly logins: number;
  /** Paths that were read, with the status of the response. */
  readonly reads: readonly { path: string; status: number }[];
  /** Puts a version of an entry, such as `secret/millrace/acme/stripe`. */
  put(path: string, data: Record<string, unknown>): void;
  /** Deletes the current version. */
  delete(path: string): void;
  /** Sealed, Vault answers everything with 503. */
  isSealed: boolean;
  /** A token that may read what begins with the path. */
  issue(allowed: string): string;
  /** Revokes all tokens, as a restart of a development server does. */
  revokeAll(): void;
  stop(): Promise<void>;
}

export interface VaultStandInOptions {
  /** The proof that a login has to bring. */
  readonly credential?: { readonly jwt: string; readonly role: string } | { readonly roleId: string; readonly secretId: string };
  /** The paths that the role may read begin with this. Default: all of `secret/millrace/`. */
  readonly allowed?: string;
  /** Default 3 600. */
  readonly leaseSeconds?: number;
  readonly namespace?: string;
  readonly tls?: { readonly cert: string; readonly key: string };
}

interface Version {
  readonly data: Record<string, unknown>;
  deletedAt: string;
}

/** @see https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 */
export async function startVaultStandIn(options: VaultStandInOptions = {}): Promise<VaultStandIn> {
  const { credential, allowed = 'secret/millrace/', leaseSeconds = 3_600, namespace, tls } = options;
  const entries = new Map<string, Version[]>();
  const tokens = new Map<string, string>();
  const reads: { path: string; status: number }[] = [];
  const state = { isSealed: false, logins: 0 };
  const issue = (may: string): string => {
    const token = `hvs.${randomUUID()}`;
    tokens.set(token, may);
    return token;
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const say = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const path = request.url!.replace(/^\/v1\//, '');
    if (state.isSealed) return say(503, { errors: ['Vault is sealed'] });
    if (request.headers['x-vault-request'] !== 'true') return say(412, { errors: ['required header is missing'] });
    if (request.headers['x-vault-namespace'] !== namespace) return say(404, { errors: [] });
    if (request.method === 'POST' && /^auth\/[^/]+\/login$/.test(path)) {
      const given = parseJson(await text(request)) as Record<string, string>;
      if (credential === undefined || !proves(given, credential)) return say(403, { errors: ['permission denied'] });
      state.logins++;
      return say(200, { auth: { client_token: issue(allowed), lease_duration: leaseSeconds, renewable: true } });
    }
    const may = tokens.get(String(request.headers['x-vault-token']));
    const entry = path.replace(/^([^/]+)\/data\//, '$1/');
    const read = readOf(entry, may);
    reads.push({ path: entry, status: read.status });
    say(read.status, read.body);
  };
  const readOf = (entry: string, may: string | undefined): { status: number; body: object } => {
    if (may === undefined || !entry.startsWith(may))
      return { status: 403, body: { errors: ['1 error occurred:\n\t* permission denied\n\n'] } };
    const versions = entries.get(entry) ?? [];
    const current = versions.at(-1);
    if (current === undefined) return { status: 404, body: { errors: [] } };
    const metadata = { version: versions.length, deletion_time: current.deletedAt, destroyed: false };
    const isDeleted = current.deletedAt !== '';
    return { status: isDeleted ? 404 : 200, body: { data: { data: isDeleted ? null : current.data, metadata } } };
  };

  const handle = (request: IncomingMessage, response: ServerResponse): void => void answer(request, response);
  const server = tls === undefined ? createPlainServer(handle) : createTlsServer(tls, handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get logins() {
      return state.logins;
    },
    reads,
    put: (path, data) => void entries.set(path, [...(entries.get(path) ?? []), { data, deletedAt: '' }]),
    delete: (path) => {
      entries.get(path)!.at(-1)!.deletedAt = '2026-01-31T12:00:00Z';
    },
    get isSealed() {
      return state.isSealed;
    },
    set isSealed(value) {
      state.isSealed = value;
    },
    issue,
    revokeAll: () => tokens.clear(),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function proves(given: Record<string, string>, credential: NonNullable<VaultStandInOptions['credential']>): boolean {
  return 'jwt' in credential
    ? given['jwt'] === credential.jwt && given['role'] === credential.role
    : given['role_id'] === credential.roleId && given['secret_id'] === credential.secretId;
}
