import { Injectable } from '@nestjs/common';
import { Database, columns, isFreeLease, statement } from '#libs/persistence';

/** A schedule in the version that a process knows. */
export interface ScheduleVersion {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  /** Says the same if the ticks are the same. */
  readonly times: string;
}

/** How far a schedule has fired. */
export interface ScheduleProgress {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  /** Every tick until then was fired or left out, ms since 1970. */
  readonly firedThroughMs: number;
}

/** The right to fire what is due, as long as its fence is the newest. */
export interface ScheduleClaim extends ScheduleProgress {
  readonly fence: number;
}

/** The fate of the ticks that were due. */
export interface FiredTicks {
  readonly firedThroughMs: number;
  readonly fired: number;
  readonly missed: number;
  /** The last tick that was fired, and its event; null if none was. */
  readonly last: { readonly atMs: number; readonly eventId: string } | null;
}

const milliseconds = (column: string): string => `floor(extract(epoch FROM ${column}) * 1000)::float8`;
const instant = (parameter: string): string => `to_timestamp(${parameter}::float8 / 1000)`;
const versionColumns = columns<ScheduleVersion>({
  tenant_id: ['text', ({ tenant }) => tenant],
  name: ['text', ({ name }) => name],
  version: ['integer', ({ version }) => version],
  times: ['text', ({ times }) => times],
});

/**
 * A schedule begins when its document was applied. Where the times change, or the schedule was removed meanwhile, it begins anew with the new version;
 * else what was missed stays missed. An older version than the one that another process took over changes nothing.
 */
const adopt = statement(
  'schedule.adopt',
  `INSERT INTO schedule (tenant_id, name, document_version, timing, fired_through)
   SELECT document.tenant_id, document.name, document.version, given.times, document.created_at
   FROM ${versionColumns.unnest('given', 1)}
   JOIN document ON document.tenant_id = given.tenant_id AND document.kind = 'Schedule' AND document.name = given.name
     AND document.version = given.version
   ON CONFLICT (tenant_id, name) DO UPDATE SET document_version = EXCLUDED.document_version, timing = EXCLUDED.timing,
     fired_through = CASE
       WHEN schedule.timing = EXCLUDED.timing AND NOT EXISTS (
         SELECT FROM document AS removal WHERE removal.tenant_id = schedule.tenant_id AND removal.kind = 'Schedule' AND removal.name = schedule.name
           AND removal.version > schedule.document_version AND removal.version < EXCLUDED.document_version AND removal.spec IS NULL)
       THEN schedule.fired_through ELSE greatest(schedule.fired_through, EXCLUDED.fired_through) END
   WHERE schedule.document_version < EXCLUDED.document_version`,
);
const progress = statement(
  'schedule.progress',
  `SELECT schedule.tenant_id AS tenant, schedule.name, document_version AS version, ${milliseconds('fired_through')} AS "firedThroughMs"
   FROM ${versionColumns.unnest('given', 1)} JOIN schedule ON schedule.tenant_id = given.tenant_id AND schedule.name = given.name`,
);
/** $4: the tick that is due. Nothing is claimed where another process has fired it, or holds the claim. */
const claim = statement(
  'schedule.claim',
  `UPDATE schedule SET fence = fence + 1, lease_until = clock_timestamp() + $5 * interval '1 millisecond'
   WHERE tenant_id = $1 AND name = $2 AND document_version = $3 AND fired_through < ${instant('$4')} AND ${isFreeLease('lease_until')}
   RETURNING tenant_id AS tenant, name, document_version AS version, fence, ${milliseconds('fired_through')} AS "firedThroughMs"`,
);
const mine = 'tenant_id = $1 AND name = $2 AND fence = $3';
const note = statement(
  'schedule.note',
  `UPDATE schedule SET fired_through = ${instant('$4')}, fired = fired + $5, missed = missed + $6, lease_until = NULL,
     last_tick_at = coalesce(${instant('$7')}, last_tick_at), last_event_id = coalesce($8, last_event_id),
     appended_at = CASE WHEN $8::text IS NULL THEN appended_at ELSE clock_timestamp() END,
     last_missed_at = CASE WHEN $6 > 0 THEN clock_timestamp() ELSE last_missed_at END
   WHERE ${mine} RETURNING name`,
);
const release = statement('schedule.release', `UPDATE schedule SET lease_until = NULL WHERE ${mine}`);
const forget = statement(
  'schedule.forget',
  `DELETE FROM schedule WHERE NOT EXISTS (
     SELECT FROM document WHERE document.tenant_id = schedule.tenant_id AND kind = 'Schedule' AND document.name = schedule.name AND spec IS NOT NULL
       AND version = (SELECT max(version) FROM document AS newest WHERE newest.tenant_id = schedule.tenant_id AND newest.kind = 'Schedule'
         AND newest.name = schedule.name))`,
);

@Injectable()
export class ScheduleProgressTable {
  constructor(private readonly database: Database) {}

  /** Takes versions over that no process has seen yet, and says how far the schedules are. */
  async adopt(versions: readonly ScheduleVersion[]): Promise<ScheduleProgress[]> {
    if (versions.length === 0) return [];
    await this.database.query(adopt, versionColumns.values(versions));
    return this.progress(versions);
  }

  progress(versions: readonly ScheduleVersion[]): Promise<ScheduleProgress[]> {
    return this.database.query<ScheduleProgress>(progress, versionColumns.values(versions));
  }

  /** Undefined if another process holds the claim or has fired the tick, or if this process knows an older version than the newest. */
  async claim({ tenant, name, version }: ScheduleVersion, tickMs: number, leaseMs: number): Promise<ScheduleClaim | undefined> {
    const [row] = await this.database.query<ScheduleClaim>(claim, [tenant, name, version, tickMs, leaseMs]);
    return row;
  }

  /** Notes what was fired, and gives the claim back. @returns false if another process has claimed the schedule meanwhile */
  async note({ tenant, name, fence }: ScheduleClaim, { firedThroughMs, fired, missed, last }: FiredTicks): Promise<boolean> {
    const noted = [tenant, name, fence, firedThroughMs, fired, missed, last?.atMs ?? null, last?.eventId ?? null];
    return (await this.database.query(note, noted)).length > 0;
  }

  /** Gives a claim back with nothing fired. */
  async release({ tenant, name, fence }: ScheduleClaim): Promise<void> {
    await this.database.query(release, [tenant, name, fence]);
  }

  /** Forgets the schedules that were removed. */
  async forgetRemoved(): Promise<void> {
    await this.database.query(forget);
  }
}
