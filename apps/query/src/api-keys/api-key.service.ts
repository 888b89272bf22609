import { Injectable } from '@nestjs/common';
import { issueApiKey } from '#libs/auth';
import type { Principal, StoredApiKey } from '#libs/auth';
import { NotFound } from '#libs/contracts';
import { ApiKeyTable, DocumentTable, TenantDatabase } from '#libs/persistence';
import { AuditTable } from '../audit/audit.table.js';
import { createApiKey, revokeApiKey } from './api-key.operations.js';
import type { CreateApiKeyInput } from './api-key.operations.js';

/** The environment in the text of new keys, after `mr_`. */
export class ApiKeyEnvironment {
  constructor(readonly name: string) {}
}

@Injectable()
export class ApiKeyService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly table: ApiKeyTable,
    private readonly documents: DocumentTable,
    private readonly audit: AuditTable,
    private readonly environment: ApiKeyEnvironment,
  ) {}

  list(tenant: string): Promise<StoredApiKey[]> {
    return this.database.asTenant(tenant, (session) => this.table.list(session, tenant));
  }

  /**
   * The secret is in this result only; its hash is kept.
   * @throws NotFound if the tenant has no document
   */
  async create(principal: Principal, input: CreateApiKeyInput): Promise<{ apiKey: StoredApiKey; key: string }> {
    const { tenant, actor } = principal;
    const { key, id, secretHash } = issueApiKey(this.environment.name);
    const scopes = [...new Set(input.scopes)];
    const apiKey = await this.database.asTenant(tenant, async (session) => {
      await this.documents.lock(session, tenant); // a Tenant document is removed only while no key is in force
      // Without the document nothing can be applied for the tenant, so no source could take what comes with the key.
      if ((await this.documents.current(session, tenant, 'Tenant')).length === 0) {
        throw new NotFound('tenant', tenant, {
          message: `There is no tenant ${tenant}. Apply its Tenant document first, then create its keys.`,
        });
      }
      const inserted = await this.table.insert(session, {
        tenant,
        id,
        name: input.name.trim(),
        secretHash,
        scopes,
        createdBy: actor,
        expiresAt: input.expiresAt ?? null,
      });
      await this.audit.recordIn(session, principal, [{ operation: createApiKey, target: id, detail: { name: input.name.trim(), scopes } }]);
      return inserted;
    });
    return { apiKey, key };
  }

  async revoke(principal: Principal, id: string): Promise<StoredApiKey> {
    const { tenant } = principal;
    return this.database.asTenant(tenant, async (session) => {
      const revoked = await this.table.revoke(session, { tenant, id });
      if (!revoked) throw new NotFound('apiKey', id, { field: 'id' });
      await this.audit.recordIn(session, principal, [{ operation: revokeApiKey, target: id }]);
      return revoked;
    });
  }
}
