import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import type { TimelineKind } from '../generated/schema.js';
import { manyPerKey } from '../graphql/batches.js';

export interface TimelineRow {
  eventId: string;
  at: Date;
  kind: TimelineKind;
  /** What it happened to or through: a source, flow, model, kind of step or destination, by the entry's kind. */
  subject: string | null;
  /** What came of it: a status, an outcome, a message, by the entry's kind. */
  detail: string | null;
  code: string | null;
  runId: string | null;
  step: string | null;
  deliveryId: string | null;
  deadLetterId: string | null;
  attempt: number | null;
  actor: string | null;
}

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
    return manyPerKey(eventIds, await this.database.query<TimelineRow>(ofEvents, [tenant, eventIds]), (row) => row.eventId);
  }
}
