import { TenantDatabase } from '#libs/persistence';
import type { Database, Session } from '#libs/persistence';

/** A transaction that sees one tenant only, where row-level security binds the role. */
export function inTenant<T>(database: Database, tenant: string, work: (session: Session) => Promise<T>): Promise<T> {
  return database instanceof TenantDatabase ? database.asTenant(tenant, work) : database.transaction(work);
}
