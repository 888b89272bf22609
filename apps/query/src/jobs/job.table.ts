import { Injectable } from '@nestjs/common';
import type { Json } from '#libs/json';
import { TenantDatabase, statement } from '#libs/persistence';

/** The run of a job. */
export interface JobRow {
  readonly flow: string;
  readonly customer: string;
  /** Null: the flow has not begun. */
  readonly state: 'running' | 'waiting' | 'completed' | 'failed' | null;
  readonly decision: Json;
  readonly defaultReason: string | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly decideBy: Date | null;
  readonly finishedAt: Date | null;
}

const ofEvent = statement(
  'query.job.ofEvent',
  `SELECT flow, customer, state, decision, default_reason AS "defaultReason", error_code AS "errorCode", error_message AS "errorMessage",
     decide_by AS "decideBy", finished_at AS "finishedAt" FROM job_of_event($1, $2)`,
);

@Injectable()
export class JobTable {
  constructor(private readonly database: TenantDatabase) {}

  /** Undefined if no such event is recorded, or it is not of a request. */
  async ofEvent(tenant: string, eventId: string): Promise<JobRow | undefined> {
    const [row] = await this.database.query<JobRow>(ofEvent, [tenant, eventId]);
    return row;
  }
}
