import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import type { Principal } from '#libs/auth';
import type { CommandOperation } from '../operations/operation.js';

/** A request for a change, by an operation of the contract. */
export interface AuditEntry {
  operation: CommandOperation;
  /** The id, or `Kind/name`, of what it was asked for. */
  target: string;
  detail?: Record<string, unknown>;
  /** Set where the request is a command: sent again, it is the same entry. */
  commandId?: string;
}

const insert = statement(
  'query.audit.insert',
  `INSERT INTO audit_entry (tenant_id, actor, action, target, detail, command_id)
   SELECT $1, $2, entry.action, entry.target, entry.detail, entry."commandId"
   FROM json_to_recordset($3) AS entry (action text, target text, detail json, "commandId" text)
   ON CONFLICT (tenant_id, command_id) WHERE command_id IS NOT NULL DO NOTHING`,
);

@Injectable()
export class AuditTable {
  constructor(private readonly database: TenantDatabase) {}

  /** Written before the command is appended: nothing happens without a trace of who asked. */
  async record({ tenant, actor }: Pick<Principal, 'tenant' | 'actor'>, entries: readonly AuditEntry[]): Promise<void> {
    await this.database.asTenant(tenant, (session) => this.recordIn(session, { tenant, actor }, entries));
  }

  /** Together with what is written in the session. */
  async recordIn(session: Session, { tenant, actor }: Pick<Principal, 'tenant' | 'actor'>, entries: readonly AuditEntry[]): Promise<void> {
    await session.query(insert, [
      tenant,
      actor,
      JSON.stringify(entries.map(({ operation, ...entry }) => ({ action: operation.name, ...entry }))),
    ]);
  }
}
