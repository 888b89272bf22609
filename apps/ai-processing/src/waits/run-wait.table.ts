import { Injectable } from '@nestjs/common';
import { mostArrivalsOfWait } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import type { ReviewEnd, WaitEnd } from '#libs/flows';
import { Database, columns, statement } from '#libs/persistence';
import { eventOf, eventRow } from '../events/event.store.js';
import type { StoredEventRow } from '../events/event.store.js';
import { ReviewStore } from '../reviews/review.store.js';

/** How the waits of a run ended, by the paths of their steps. */
export interface EndedWaits {
  readonly waits: ReadonlyMap<string, WaitEnd>;
  /** Also those that are open, where one has ended. */
  readonly reviews: ReadonlyMap<string, ReviewEnd | 'open'>;
}

export const noEndedWaits: EndedWaits = { waits: new Map(), reviews: new Map() };

/** A pattern of types as LIKE reads it. */
export function likePattern(pattern: string): string {
  return pattern.replaceAll(/[\\%_]/g, String.raw`\$&`).replaceAll('*', '%');
}

/** A wait that is over, and whose run is to be told. */
export interface EndedWait {
  readonly tenant: string;
  readonly runId: string;
  readonly step: string;
  readonly eventId: string;
  readonly customer: string;
  readonly traceparent: string | null;
  readonly dueAt: Date;
}

/** The waits of one tenant that are not over. */
export interface WaitBacklog {
  readonly tenant: string;
  readonly waits: number;
  readonly oldestDueAt: Date;
}

const endedFields = `run_wait.tenant_id AS tenant, run_wait.run_id AS "runId", run_wait.step, run_wait.event_id AS "eventId", run_wait.customer,
  run_wait.traceparent, run_wait.due_at AS "dueAt"`;
/** The first end of a wait is final. Waits that end wait to be told, so `told_at` begins at once: a process that ends now leaves them for later. */
const endDue = statement(
  'runWait.endDue',
  `UPDATE run_wait SET state = 'over', reason = 'elapsed', over_at = clock_timestamp(), told_at = clock_timestamp()
   FROM (SELECT tenant_id, run_id, step FROM run_wait WHERE state = 'pending' AND due_at <= clock_timestamp()
     ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
   WHERE run_wait.tenant_id = due.tenant_id AND run_wait.run_id = due.run_id AND run_wait.step = due.step
   RETURNING ${endedFields}`,
);
/**
 * A run that has not gone on although it was told: the process that was to tell it ended, or the log lost the record. A run at work goes on by itself. One
 * that took the default decision while it waited is to be announced.
 */
const untold = statement(
  'runWait.untold',
  `UPDATE run_wait SET told_at = clock_timestamp()
   FROM (SELECT ended.tenant_id, ended.run_id, ended.step FROM run_wait AS ended
     JOIN run ON run.tenant_id = ended.tenant_id AND run.id = ended.run_id AND (run.state = 'waiting' OR run.default_reason IS NOT NULL)
     WHERE ended.state = 'over' AND ended.told_at < clock_timestamp() - $2 * interval '1 millisecond'
     ORDER BY ended.told_at LIMIT $1 FOR UPDATE OF ended SKIP LOCKED) AS forgotten
   WHERE run_wait.tenant_id = forgotten.tenant_id AND run_wait.run_id = forgotten.run_id AND run_wait.step = forgotten.step
   RETURNING ${endedFields}`,
);
const ofRun = statement(
  'runWait.ofRun',
  `SELECT step, reason, over_at AS "overAt", EXISTS (SELECT FROM review WHERE review.tenant_id = run_wait.tenant_id AND review.run_id = run_wait.run_id
     AND review.step = run_wait.step) AS "isReview"
   FROM run_wait WHERE tenant_id = $1 AND run_id = $2 AND state <> 'pending' AND reason = 'elapsed'`,
);
/** True where the event is of a type that may end the wait. */
const isWanted = (type: string): string =>
  `EXISTS (SELECT FROM json_array_elements_text(run_wait.types) AS wanted (pattern) WHERE ${type} LIKE wanted.pattern)`;
/** True where the event came in the time of the wait. */
const isInTime = (event: string): string =>
  `${event}.received_at >= run_wait.since AND ${event}.received_at <= run_wait.due_at AND ${event}.id <> run_wait.event_id`;
const awaits = `run_wait.state = 'pending' AND run_wait.types IS NOT NULL AND run_wait.looked < ${mostArrivalsOfWait}`;
const endByEvent = (found: string): string => `
   UPDATE run_wait SET state = 'over', reason = 'event', over_at = clock_timestamp(), told_at = clock_timestamp()
   FROM (${found} FOR UPDATE OF run_wait SKIP LOCKED) AS met
   WHERE run_wait.tenant_id = met.tenant_id AND run_wait.run_id = met.run_id AND run_wait.step = met.step
   RETURNING ${endedFields}`;

const arrivalColumns = columns<EventReceived>({
  tenant_id: ['text', ({ tenant }) => tenant],
  id: ['text', ({ eventId }) => eventId],
  customer: ['text', ({ customer }) => customer],
  type: ['text', ({ type }) => type],
  received_at: ['timestamptz', ({ receivedAt }) => receivedAt],
});
/** Ends the waits that recorded events may end. A wait that another statement holds is looked at by whoever stores it. */
const endByArrivals = statement(
  'runWait.endByArrivals',
  endByEvent(`SELECT run_wait.tenant_id, run_wait.run_id, run_wait.step FROM run_wait
     WHERE ${awaits} AND EXISTS (SELECT FROM ${arrivalColumns.unnest('event', 1)}
       WHERE event.tenant_id = run_wait.tenant_id AND event.customer = run_wait.customer AND ${isInTime('event')} AND ${isWanted('event.type')})
     ORDER BY run_wait.tenant_id, run_wait.run_id, run_wait.step`),
);
const hasArrived = `run_wait.looked < (SELECT count(*) FROM event WHERE event.tenant_id = run_wait.tenant_id AND event.customer = run_wait.customer
   AND ${isInTime('event')} AND ${isWanted('event.type')})`;
/** The wait of one run, where an event was recorded after the run looked and before the wait was stored. */
const lookBack = statement(
  'runWait.lookBack',
  endByEvent(`SELECT run_wait.tenant_id, run_wait.run_id, run_wait.step FROM run_wait
     WHERE run_wait.tenant_id = $1 AND run_wait.run_id = $2 AND ${awaits} AND ${hasArrived}`),
);
const arrivals = statement(
  'runWait.arrivals',
  `SELECT ${eventRow} FROM event
   WHERE tenant_id = $1 AND customer = $2 AND received_at >= $3 AND received_at <= $4 AND id <> $5
     AND EXISTS (SELECT FROM json_array_elements_text($6::json) AS wanted (pattern) WHERE type LIKE wanted.pattern)
     AND ($7::timestamptz IS NULL OR (received_at, id) > ($7::timestamptz, $8::text))
   ORDER BY received_at, id LIMIT 20`,
);
const backlog = statement(
  'runWait.backlog',
  `SELECT tenant_id AS tenant, count(*)::float8 AS waits, min(due_at) AS "oldestDueAt" FROM run_wait WHERE state = 'pending' GROUP BY tenant_id`,
);
/** The table `run_wait`. Waits are stored with the progress of their runs. */
@Injectable()
export class RunWaitTable {
  constructor(
    private readonly database: Database,
    private readonly reviews: ReviewStore,
  ) {}

  /** Ends waits whose time has come. Of several processes, one gets each. */
  endDue(limit: number): Promise<EndedWait[]> {
    return this.database.query<EndedWait>(endDue, [limit]);
  }

  /** The ended waits whose runs were told longer ago than this, and do not go on. */
  untold(limit: number, toldBeforeMs: number): Promise<EndedWait[]> {
    return this.database.query<EndedWait>(untold, [limit, toldBeforeMs]);
  }

  /** How the waits of a run ended. */
  async endsOf({ tenant, id }: { readonly tenant: string; readonly id: string }): Promise<EndedWaits> {
    const rows = await this.database.query<{ step: string; reason: WaitEnd['reason']; overAt: Date; isReview: boolean }>(ofRun, [
      tenant,
      id,
    ]);
    const waits = new Map(rows.map(({ step, reason, overAt }) => [step, { reason, at: overAt.toISOString() }]));
    return { waits, reviews: rows.some(({ isReview }) => isReview) ? await this.reviews.endsOf(tenant, id) : noEndedWaits.reviews };
  }

  /** Ends the waits that these events may end, which were recorded a moment ago. */
  endByArrivals(events: readonly EventReceived[]): Promise<EndedWait[]> {
    return this.database.query<EndedWait>(endByArrivals, arrivalColumns.values(events));
  }

  /** Ends the waits of a run for which an event was recorded before they were stored, and after the run looked. */
  lookBack(tenant: string, runId: string): Promise<EndedWait[]> {
    return this.database.query<EndedWait>(lookBack, [tenant, runId]);
  }

  /** Up to 20 events that may end the wait of a run on `event`, in the order in which they were received: the first ones, or those behind one. */
  async arrivals(
    { tenant, customer, receivedAt, eventId }: EventReceived,
    { types, dueAt }: { readonly types: readonly string[]; readonly dueAt: Date },
    after: { readonly receivedAt: string; readonly id: string } | undefined,
  ): Promise<EventReceived[]> {
    const values = [tenant, customer, receivedAt, dueAt, eventId, JSON.stringify(types), after?.receivedAt ?? null, after?.id ?? null];
    return (await this.database.query<StoredEventRow>(arrivals, values)).map((row) => eventOf(tenant, row));
  }

  backlog(): Promise<WaitBacklog[]> {
    return this.database.query<WaitBacklog>(backlog);
  }
}
