import { Injectable } from '@nestjs/common';
import { pullState } from '#libs/contracts';
import type { PullDocument } from '#libs/contracts';
import { DocumentTable, TenantDatabase, statement } from '#libs/persistence';
import type { PullRow } from './pull.operations.js';

type ProgressRow = Omit<PullRow, 'connection' | 'operation' | 'state' | 'lastFailure'> & {
  readonly lastFailureAt: Date | null;
  readonly lastFailureCode: string | null;
  readonly lastFailureMessage: string | null;
};

const progress = statement(
  'query.pull.progress',
  `SELECT name, cursor, cursor_moved_at AS "cursorMovedAt", pass_started_at AS "passStartedAt", next_at AS "nextAt", last_success_at AS "lastSuccessAt",
     pages, items, repeated, skipped, last_event_id AS "lastEventId", failures, last_failure_at AS "lastFailureAt",
     last_failure_code AS "lastFailureCode", last_failure_message AS "lastFailureMessage"
   FROM pull WHERE tenant_id = $1`,
);
const unread = {
  cursor: null,
  cursorMovedAt: null,
  passStartedAt: null,
  nextAt: null,
  lastSuccessAt: null,
  pages: 0,
  items: 0,
  repeated: 0,
  skipped: 0,
  lastEventId: null,
  failures: 0,
  lastFailureAt: null,
  lastFailureCode: null,
  lastFailureMessage: null,
};

@Injectable()
export class PullTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
  ) {}

  /** By name. */
  list(tenant: string): Promise<PullRow[]> {
    return this.database.asTenant(tenant, async (session) => {
      const documents = await this.documents.current(session, tenant, 'Pull');
      const known = new Map((await session.query<ProgressRow>(progress, [tenant])).map((row) => [row.name, row]));
      return documents.map(({ name, document }) => {
        const { connection, operation } = (document as PullDocument).spec;
        const { lastFailureAt, lastFailureCode, lastFailureMessage, ...row } = known.get(name) ?? { ...unread, name };
        const lastFailure = lastFailureAt === null ? null : { at: lastFailureAt, code: lastFailureCode!, message: lastFailureMessage! };
        return { ...row, connection, operation, state: pullState({ failures: row.failures, lastFailureCode }), lastFailure };
      });
    });
  }

  async exists(tenant: string, name: string): Promise<boolean> {
    const documents = await this.database.asTenant(tenant, (session) => this.documents.current(session, tenant, 'Pull'));
    return documents.some((document) => document.name === name);
  }
}
