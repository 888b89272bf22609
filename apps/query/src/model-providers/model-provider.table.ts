import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import type { ModelProviderRow } from './model-provider.operations.js';

/**
 * Leaves out a provider that no process calls any more, such as that of before a change of the address: each process says every 30 s that it calls its
 * own. While no process runs, those that were in use last stay.
 */
export const inUse = statement(
  'query.modelProvider.inUse',
  `SELECT address, models, listed_at AS "listedAt", asked_at AS "askedAt", error_code AS "errorCode", error_message AS "errorMessage"
   FROM model_provider WHERE used_at > (SELECT max(used_at) FROM model_provider) - interval '75 seconds' ORDER BY address`,
);

@Injectable()
export class ModelProviderTable {
  constructor(private readonly database: TenantDatabase) {}

  /** By address. */
  list(tenant: string): Promise<ModelProviderRow[]> {
    return this.database.asTenant(tenant, (session) => session.query<ModelProviderRow>(inUse));
  }
}
