import { Injectable } from '@nestjs/common';
import { issueApiKey } from '#libs/auth';
import type { Principal, StoredApiKey } from '#libs/auth';
import { NotFound } from '#libs/contracts';
import { ApiKeyTable, TenantDatabase } from '#libs/persistence';
import { AuditTable } from '../audit/audit.table.js';
import type { CreateApiKeyInput, Violation } from '../generated/schema.js';
import { InputInvalid } from '../graphql/user-errors.js';

export type ApiKeyRow = StoredApiKey;

/** What new keys say after `mr_`. */
export class ApiKeyEnvironment {
  constructor(readonly name: string) {}
}

@Injectable()
export class ApiKeyService {
  constructor(
    private readonly database: TenantDatabase,
    private readonly table: ApiKeyTable,
    private readonly audit: AuditTable,
    private readonly environment: ApiKeyEnvironment,
  ) {}

  list(tenant: string): Promise<StoredApiKey[]> {
    return this.database.asTenant(tenant, (session) => this.table.list(session, tenant));
  }

  /** The secret leaves with this answer; only its hash is kept. */
  async create(principal: Principal, input: CreateApiKeyInput): Promise<{ apiKey: StoredApiKey; key: string }> {
    check(input);
    const { tenant, actor } = principal;
    const { key, id, secretHash } = issueApiKey(this.environment.name);
    const scopes = [...new Set(input.scopes)];
    const apiKey = await this.database.asTenant(tenant, async (session) => {
      const inserted = await this.table.insert(session, {
        tenant,
        id,
        name: input.name.trim(),
        secretHash,
        scopes,
        createdBy: actor,
        expiresAt: input.expiresAt ?? null,
      });
      await this.audit.recordIn(session, principal, [{ action: 'createApiKey', target: id, detail: { name: input.name.trim(), scopes } }]);
      return inserted;
    });
    return { apiKey, key };
  }

  async revoke(principal: Principal, id: string): Promise<StoredApiKey> {
    const { tenant } = principal;
    return this.database.asTenant(tenant, async (session) => {
      const revoked = await this.table.revoke(session, { tenant, id });
      if (!revoked) throw new NotFound('apiKey', id, { field: 'input.id' });
      await this.audit.recordIn(session, principal, [{ action: 'revokeApiKey', target: id }]);
      return revoked;
    });
  }
}

function check({ name, scopes, expiresAt }: CreateApiKeyInput): void {
  const violations: Violation[] = [];
  const length = name.trim().length;
  if (length === 0 || length > 100) violations.push({ path: ['input', 'name'], message: 'must have 1 to 100 characters' });
  if (scopes.length === 0) violations.push({ path: ['input', 'scopes'], message: 'must name at least one scope' });
  if (expiresAt != null && expiresAt.getTime() <= Date.now())
    violations.push({ path: ['input', 'expiresAt'], message: 'must be in the future' });
  if (violations.length > 0) throw new InputInvalid(violations);
}
