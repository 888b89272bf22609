import { Injectable } from '@nestjs/common';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import { TenantDatabase, isFreeLease, statement } from '#libs/persistence';
import type { WebhookRow } from './webhook.operations.js';

/** A webhook as it was registered. */
export interface RegisteredWebhook {
  readonly source: string;
  readonly connection: string;
  readonly url: string;
  readonly target: Json;
  readonly events: readonly string[];
  /** The names that the system gives them. */
  readonly ids: readonly Json[];
}

type StoredRow = Omit<WebhookRow, 'ids'> & { readonly target: string; readonly ids: string };

const columns = `source, connection, url, target, events, ids, registered_at AS "registeredAt", secret_changed_at AS "secretChangedAt"`;
const list = statement(
  'query.webhook.list',
  `SELECT ${columns} FROM webhook WHERE tenant_id = $1 AND registered_at IS NOT NULL ORDER BY source`,
);
const claim = statement(
  'query.webhook.claim',
  `INSERT INTO webhook (tenant_id, source, connection, url, target, events, ids, lease_until)
   VALUES ($1, $2, $3, '', '{}', '{}', '[]', clock_timestamp() + $4 * interval '1 millisecond')
   ON CONFLICT (tenant_id, source) DO UPDATE SET lease_until = EXCLUDED.lease_until WHERE ${isFreeLease('webhook.lease_until')} RETURNING source`,
);
const store = statement(
  'query.webhook.store',
  `UPDATE webhook SET connection = $3, url = $4, target = $5, events = $6, ids = $7, registered_at = clock_timestamp(),
     secret_changed_at = CASE WHEN $8 THEN clock_timestamp() ELSE secret_changed_at END
   WHERE tenant_id = $1 AND source = $2`,
);
/** A row that was claimed and never stored goes with its claim. */
const release = statement(
  'query.webhook.release',
  `WITH gone AS (DELETE FROM webhook WHERE tenant_id = $1 AND source = $2 AND registered_at IS NULL)
   UPDATE webhook SET lease_until = NULL WHERE tenant_id = $1 AND source = $2 AND registered_at IS NOT NULL`,
);
const remove = statement('query.webhook.remove', 'DELETE FROM webhook WHERE tenant_id = $1 AND source = $2');

@Injectable()
export class WebhookTable {
  constructor(private readonly database: TenantDatabase) {}

  /** By source. */
  async list(tenant: string): Promise<WebhookRow[]> {
    return (await this.rows(tenant)).map(({ target: _, ids, ...row }) => ({
      ...row,
      ids: idsIn(ids).map((id) => (typeof id === 'string' ? id : JSON.stringify(id))),
    }));
  }

  async find(tenant: string, source: string): Promise<RegisteredWebhook | undefined> {
    return (await this.all(tenant)).find((one) => one.source === source);
  }

  /** All webhooks of the tenant with what was asked for, by source. */
  async all(tenant: string): Promise<RegisteredWebhook[]> {
    return (await this.rows(tenant)).map((row) => ({ ...row, target: parseStoredJson(row.target), ids: idsIn(row.ids) }));
  }

  /** @returns false while another request changes webhooks of the source */
  claim(tenant: string, source: string, connection: string, leaseMs: number): Promise<boolean> {
    return this.database.asTenant(
      tenant,
      async (session) => (await session.query(claim, [tenant, source, connection, leaseMs])).length > 0,
    );
  }

  async store(tenant: string, { source, connection, url, target, events, ids }: RegisteredWebhook, hasNewSecret: boolean): Promise<void> {
    const values = [tenant, source, connection, url, JSON.stringify(target), events, JSON.stringify(ids), hasNewSecret];
    await this.database.asTenant(tenant, (session) => session.query(store, values));
  }

  async release(tenant: string, source: string): Promise<void> {
    await this.database.asTenant(tenant, (session) => session.query(release, [tenant, source]));
  }

  async remove(tenant: string, source: string): Promise<void> {
    await this.database.asTenant(tenant, (session) => session.query(remove, [tenant, source]));
  }

  private rows(tenant: string): Promise<StoredRow[]> {
    return this.database.asTenant(tenant, (session) => session.query<StoredRow>(list, [tenant]));
  }
}

function idsIn(text: string): Json[] {
  return parseStoredJson(text) as Json[];
}
