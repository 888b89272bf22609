import { Injectable } from '@nestjs/common';
import type { CheckableApiKey, StoredApiKey } from '#libs/auth';
import type { Scope } from '#libs/contracts';
import type { Session } from './database.js';
import { statement } from './statement.js';

export interface NewApiKey {
  tenant: string;
  id: string;
  name: string;
  secretHash: Buffer;
  scopes: readonly Scope[];
  createdBy: string;
  expiresAt: Date | null;
}

/** The role of `query` may read these, and not the hash. */
const columns = `id, tenant_id AS tenant, name, scopes, created_at AS "createdAt", created_by AS "createdBy",
  expires_at AS "expiresAt", revoked_at AS "revokedAt"`;

const insert = statement(
  'apiKey.insert',
  `INSERT INTO api_key (tenant_id, id, name, secret_hash, scopes, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${columns}`,
);
const list = statement('apiKey.list', `SELECT ${columns} FROM api_key WHERE tenant_id = $1 ORDER BY created_at DESC, id DESC`);
const revoke = statement(
  'apiKey.revoke',
  `UPDATE api_key SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE tenant_id = $1 AND id = $2 RETURNING ${columns}`,
);
const active = statement(
  'apiKey.active',
  `SELECT ${columns}, secret_hash AS "secretHash" FROM api_key
   WHERE ($1::text IS NULL OR tenant_id = $1) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()) ORDER BY id`,
);

const activeById = statement(
  'apiKey.activeById',
  `SELECT ${columns}, secret_hash AS "secretHash" FROM api_key
   WHERE id = ANY ($1) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
);

/** API keys: never the keys themselves, only what tells whether a presented one is genuine. */
@Injectable()
export class ApiKeyTable {
  async insert(session: Session, key: NewApiKey): Promise<StoredApiKey> {
    const { tenant, id, name, secretHash, scopes, createdBy, expiresAt } = key;
    const [stored] = await session.query<StoredApiKey>(insert, [tenant, id, name, secretHash, scopes, createdBy, expiresAt]);
    return stored!;
  }

  /** The tenant's keys, newest first; revoked and expired ones too. */
  list(session: Session, tenant: string): Promise<StoredApiKey[]> {
    return session.query<StoredApiKey>(list, [tenant]);
  }

  /** A key stays revoked from the first time on. Undefined where the tenant has no such key. */
  async revoke(session: Session, { tenant, id }: { tenant: string; id: string }): Promise<StoredApiKey | undefined> {
    const [stored] = await session.query<StoredApiKey>(revoke, [tenant, id]);
    return stored;
  }

  /** Active keys with their hashes, for the services that keep them in memory; of every tenant unless one is given. */
  active(session: Session, tenant?: string): Promise<CheckableApiKey[]> {
    return session.query<CheckableApiKey>(active, [tenant ?? null]);
  }

  /** The active keys among these ids, of any tenant. */
  activeById(session: Session, ids: readonly string[]): Promise<CheckableApiKey[]> {
    return session.query<CheckableApiKey>(activeById, [ids]);
  }
}
