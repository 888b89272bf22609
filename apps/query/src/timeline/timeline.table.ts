import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { TenantDatabase, statement } from '#libs/persistence';
import { loader } from '../operations/part.js';
import { manyPerKey } from '../operations/per-key.js';
import type { timelineEntry } from './timeline.operations.js';

export type TimelineRow = z.infer<typeof timelineEntry> & {
  eventId: string;
  /** The source, flow, model, kind of step or destination that it is about, by the entry's kind. */
  subject: string | null;
  /** A status, an outcome or a message, by the entry's kind. */
  detail: string | null;
};

const ofEvents = statement(
  'query.timeline.ofEvents',
  `SELECT event_id AS "eventId", at, kind, subject, detail, code, run_id AS "runId", step, delivery_id AS "deliveryId",
     dead_letter_id AS "deadLetterId", attempt, actor FROM event_timelines($1, $2)`,
);

@Injectable()
export class TimelineTable {
  constructor(private readonly database: TenantDatabase) {}

  /** Everything that happened to each event, in order. */
  async ofEvents(tenant: string, eventIds: readonly string[]): Promise<TimelineRow[][]> {
    const rows = await this.database.query<TimelineRow>(ofEvents, [tenant, eventIds]);
    const told = rows.map((row) => (isPassedOver(row) ? { ...row, kind: 'modelPassedOver' as const } : row));
    return manyPerKey(eventIds, told, (row) => row.eventId);
  }
}

/** True for a model that was not called: its attempt has no number. */
function isPassedOver({ kind, attempt }: TimelineRow): boolean {
  return kind === 'modelAttempt' && attempt === null;
}

export const timelineOfEvent = loader((get, tenant, ids) => get(TimelineTable).ofEvents(tenant, ids));
