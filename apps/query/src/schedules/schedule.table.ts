import { Injectable } from '@nestjs/common';
import type { ScheduleDocument } from '#libs/contracts';
import { DocumentTable, TenantDatabase, statement } from '#libs/persistence';
import { Timing, nextFires } from '#libs/schedules';
import { wallTimeMs } from '#libs/time';
import type { ScheduleRow } from './schedule.operations.js';

interface ProgressRow {
  name: string;
  version: number;
  firedThrough: Date;
  lastTickAt: Date | null;
  lastEventId: string | null;
  lastAppendedAt: Date | null;
  fired: number;
  missed: number;
  lastMissedAt: Date | null;
}

const progress = statement(
  'query.schedule.progress',
  `SELECT name, document_version AS version, fired_through AS "firedThrough", last_tick_at AS "lastTickAt", last_event_id AS "lastEventId",
     appended_at AS "lastAppendedAt", fired, missed, last_missed_at AS "lastMissedAt"
   FROM schedule WHERE tenant_id = $1`,
);

@Injectable()
export class ScheduleTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
  ) {}

  /** By name. */
  list(tenant: string): Promise<ScheduleRow[]> {
    return this.database.asTenant(tenant, async (session) => {
      const documents = await this.documents.current(session, tenant, 'Schedule');
      const known = new Map((await session.query<ProgressRow>(progress, [tenant])).map((row) => [row.name, row]));
      const nowMs = wallTimeMs();
      return documents.map(({ name, version, document }) => {
        const { spec } = document as ScheduleDocument;
        const { cron, timeZone, jitterMs } = spec;
        const row = known.get(name);
        const waiting = row?.version === version ? new Timing(spec).after(row.firedThrough.getTime()) : undefined;
        const isOverdue = waiting !== undefined && waiting + jitterMs < nowMs;
        return {
          name,
          cron,
          timeZone,
          nextFires: nextFires(spec, nowMs),
          lastTickAt: row?.lastTickAt ?? null,
          lastEventId: row?.lastEventId ?? null,
          lastAppendedAt: row?.lastAppendedAt ?? null,
          overdueSince: isOverdue ? new Date(waiting) : null,
          fired: row?.fired ?? 0,
          missed: row?.missed ?? 0,
          lastMissedAt: row?.lastMissedAt ?? null,
        };
      });
    });
  }

  async exists(tenant: string, name: string): Promise<boolean> {
    const documents = await this.database.asTenant(tenant, (session) => this.documents.current(session, tenant, 'Schedule'));
    return documents.some((document) => document.name === name);
  }
}
