import { Injectable } from '@nestjs/common';
import { Database, columns, isFreeLease, statement } from '#libs/persistence';

/** A pull in the version that a process knows. */
export interface PullVersion {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly connection: string;
  /** Says the same if the same list is read. */
  readonly list: string;
  /** When its next pass begins, if nothing else is known, ms since 1970. */
  readonly firstAtMs: number;
}

/** The right to read on, as long as its fence is the newest, and how far the pass is. */
export interface PullClaim {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly fence: number;
  /** JSON; null: everything is read. */
  readonly since: string | null;
  readonly startedAtMs: number;
  /** The greatest value of the items of this pass, as JSON; null if there was none. */
  readonly reached: string | null;
  readonly pages: number;
  /** The next page, as JSON; null: the first one. */
  readonly position: string | null;
  /** Failures in a row. */
  readonly failures: number;
}

/** One page that was read, and whose events are on the log. */
export interface PulledPage {
  readonly items: number;
  /** The items whose events were known. */
  readonly repeated: number;
  /** The items that no event could be made of. */
  readonly skipped: number;
  readonly lastEventId: string | null;
  readonly reached: string | null;
}

/** When the next pass begins. */
export interface NextPass {
  /** Not before this time is over, in ms. */
  readonly notBeforeMs: number;
  /** Nor before this time is over since the pass began that ends, in ms. */
  readonly sinceStartMs?: number | undefined;
}

export interface PullFailureNote {
  readonly code: string;
  readonly message: string;
  readonly againAfterMs: number;
  /** True: the pass begins anew with the cursor that it began with. */
  readonly fromFirstPage: boolean;
}

const milliseconds = (column: string): string => `floor(extract(epoch FROM ${column}) * 1000)::float8`;
const after = (parameter: string): string => `clock_timestamp() + ${parameter}::float8 * interval '1 millisecond'`;
const versionColumns = columns<PullVersion>({
  tenant_id: ['text', ({ tenant }) => tenant],
  name: ['text', ({ name }) => name],
  version: ['integer', ({ version }) => version],
  connection: ['text', ({ connection }) => connection],
  list: ['text', ({ list }) => list],
  first_at: ['timestamptz', ({ firstAtMs }) => new Date(firstAtMs)],
});

const isRemoved = (beyond: string): string => `EXISTS (
  SELECT FROM document AS removal WHERE removal.tenant_id = pull.tenant_id AND removal.kind = 'Pull' AND removal.name = pull.name
    AND removal.version > pull.document_version AND removal.version < ${beyond} AND removal.spec IS NULL)`;
const beginsAnew = `(pull.list <> EXCLUDED.list OR ${isRemoved('EXCLUDED.document_version')})`;

/**
 * A version that no process has seen yet. Where it reads another list, or the pull was removed meanwhile, it begins anew; else its pass begins with the
 * first page again, because the pages of the old version may be others. An older version than the one that is known changes nothing.
 */
const adopt = statement(
  'pull.adopt',
  `INSERT INTO pull (tenant_id, name, document_version, connection, list, next_at)
   SELECT given.tenant_id, given.name, given.version, given.connection, given.list, given.first_at FROM ${versionColumns.unnest('given', 1)}
   ON CONFLICT (tenant_id, name) DO UPDATE SET document_version = EXCLUDED.document_version, connection = EXCLUDED.connection, list = EXCLUDED.list,
     cursor = CASE WHEN ${beginsAnew} THEN NULL ELSE pull.cursor END,
     cursor_moved_at = CASE WHEN ${beginsAnew} THEN NULL ELSE pull.cursor_moved_at END,
     pass_started_at = NULL, pass_reached = NULL, pass_pages = 0, position = NULL, fence = pull.fence + 1, lease_until = NULL, failures = 0,
     next_at = EXCLUDED.next_at
   WHERE pull.document_version < EXCLUDED.document_version`,
);
const claim = statement(
  'pull.claim',
  `UPDATE pull SET fence = fence + 1, lease_until = ${after('$2')},
     pass_started_at = coalesce(pass_started_at, clock_timestamp()), pass_since = CASE WHEN pass_started_at IS NULL THEN cursor ELSE pass_since END
   FROM (SELECT tenant_id AS tenant, name AS due FROM pull WHERE next_at <= clock_timestamp() AND ${isFreeLease('lease_until')}
     ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS found
   WHERE tenant_id = tenant AND name = due
   RETURNING tenant_id AS tenant, name, document_version AS version, fence::float8 AS fence, pass_since AS since,
     ${milliseconds('pass_started_at')} AS "startedAtMs", pass_reached AS reached, pass_pages AS pages, position, failures`,
);
/** In ms, negative if it is over; null if there is no pull. */
const nextDue = statement(
  'pull.nextDue',
  `SELECT ceil(extract(epoch FROM min(CASE WHEN ${isFreeLease('lease_until')} THEN next_at ELSE greatest(next_at, lease_until) END)
     - clock_timestamp()) * 1000)::float8 AS ms FROM pull`,
);
const mine = 'tenant_id = $1 AND name = $2 AND fence = $3';
const renew = statement(
  'pull.renew',
  `UPDATE pull SET lease_until = ${after('$4')} FROM unnest($1::text[], $2::text[], $3::bigint[]) AS held (tenant, pull_name, held_fence)
   WHERE tenant_id = tenant AND name = pull_name AND fence = held_fence RETURNING tenant_id || '/' || name AS key`,
);
const counted = `pages = pages + 1, items = items + $4, repeated = repeated + $5, skipped = skipped + $6, last_event_id = coalesce($7, last_event_id),
  failures = 0`;
const note = statement(
  'pull.note',
  `UPDATE pull SET ${counted}, pass_reached = $8, position = $9, pass_pages = pass_pages + 1 WHERE ${mine} RETURNING name`,
);
const end = statement(
  'pull.end',
  `UPDATE pull SET ${counted}, cursor = coalesce($8, cursor),
     cursor_moved_at = CASE WHEN $8::text IS DISTINCT FROM cursor AND $8::text IS NOT NULL THEN clock_timestamp() ELSE cursor_moved_at END,
     pass_started_at = NULL, pass_reached = NULL, pass_pages = 0, position = NULL, last_success_at = clock_timestamp(),
     next_at = CASE WHEN $10::float8 IS NULL THEN ${after('$9')}
       ELSE greatest(${after('$9')}, pass_started_at + $10::float8 * interval '1 millisecond') END, lease_until = NULL
   WHERE ${mine} RETURNING name`,
);
const release = statement('pull.release', `UPDATE pull SET next_at = ${after('$4')}, lease_until = NULL WHERE ${mine}`);
const fail = statement(
  'pull.fail',
  `UPDATE pull SET failures = failures + 1, last_failure_at = clock_timestamp(), last_failure_code = $4, last_failure_message = $5,
     next_at = ${after('$6')}, lease_until = NULL, position = CASE WHEN $7 THEN NULL ELSE position END, pass_pages = CASE WHEN $7 THEN 0 ELSE pass_pages END
   WHERE ${mine} RETURNING name`,
);
/** A process that reads at this moment goes on, unless the pass is to begin anew. */
const start = statement('pull.start', `UPDATE pull SET next_at = clock_timestamp() WHERE tenant_id = $1 AND name = $2`);
const restart = statement(
  'pull.restart',
  `UPDATE pull SET next_at = clock_timestamp(), cursor = NULL, cursor_moved_at = NULL, pass_started_at = NULL, pass_reached = NULL, pass_pages = 0,
     position = NULL, fence = fence + 1, lease_until = NULL WHERE tenant_id = $1 AND name = $2`,
);
/** The codes of failures that end when a connection works again. */
const ofConnections = `('connection.needsReauth', 'connection.unavailable', 'operation.unauthorized')`;
const resume = statement(
  'pull.resume',
  `UPDATE pull SET next_at = clock_timestamp() WHERE failures > 0 AND last_failure_code IN ${ofConnections} AND next_at > clock_timestamp()
     AND ($1::text IS NULL OR tenant_id = $1 AND connection = $2) RETURNING name`,
);
const known = statement('pull.knownEvents', 'SELECT id FROM event WHERE tenant_id = $1 AND id = ANY($2)');
const forget = statement(
  'pull.forget',
  `DELETE FROM pull WHERE NOT EXISTS (
     SELECT FROM document WHERE document.tenant_id = pull.tenant_id AND kind = 'Pull' AND document.name = pull.name AND spec IS NOT NULL
       AND version = (SELECT max(version) FROM document AS newest WHERE newest.tenant_id = pull.tenant_id AND newest.kind = 'Pull'
         AND newest.name = pull.name))`,
);
const conditions = statement(
  'pull.conditions',
  `SELECT tenant_id AS tenant, failures, last_failure_code AS "lastFailureCode",
     CASE WHEN ${isFreeLease('lease_until')} THEN greatest(0, extract(epoch FROM clock_timestamp() - next_at))::float8 ELSE 0 END AS "overdueSeconds"
   FROM pull`,
);

/** How a pull is, as all processes share it. */
export interface PullCondition {
  readonly tenant: string;
  readonly failures: number;
  readonly lastFailureCode: string | null;
  readonly overdueSeconds: number;
}

@Injectable()
export class PullProgressTable {
  constructor(private readonly database: Database) {}

  /** Takes versions over that no process has seen yet. */
  async adopt(versions: readonly PullVersion[]): Promise<void> {
    if (versions.length > 0) await this.database.query(adopt, versionColumns.values(versions));
  }

  /** Claims pulls whose time has come, the longest due first. */
  claim(most: number, leaseMs: number): Promise<PullClaim[]> {
    return this.database.query<PullClaim>(claim, [most, leaseMs]);
  }

  /** The time until a pull is due, at least 0; undefined if there is none. */
  async nextDueMs(): Promise<number | undefined> {
    const [row] = await this.database.query<{ ms: number | null }>(nextDue);
    return row === undefined || row.ms === null ? undefined : Math.max(row.ms, 0);
  }

  /** @returns those that are still this process's */
  async renew(claims: readonly PullClaim[], leaseMs: number): Promise<PullClaim[]> {
    const values = [claims.map(({ tenant }) => tenant), claims.map(({ name }) => name), claims.map(({ fence }) => fence), leaseMs];
    const kept = new Set((await this.database.query<{ key: string }>(renew, values)).map(({ key }) => key));
    return claims.filter(({ tenant, name }) => kept.has(`${tenant}/${name}`));
  }

  /** Notes a page after which another one follows. @returns false if the claim is lost */
  async note(claimed: PullClaim, page: PulledPage, position: string): Promise<boolean> {
    return (await this.database.query(note, [...noted(claimed, page), page.reached, position])).length > 0;
  }

  /** Notes the last page of a pass. @returns false if the claim is lost */
  async end(claimed: PullClaim, page: PulledPage, cursor: string | null, next: NextPass): Promise<boolean> {
    return (await this.database.query(end, [...noted(claimed, page), cursor, next.notBeforeMs, next.sinceStartMs ?? null])).length > 0;
  }

  /** Gives a claim back; the pass goes on after this time. */
  async release({ tenant, name, fence }: PullClaim, againAfterMs: number): Promise<void> {
    await this.database.query(release, [tenant, name, fence, againAfterMs]);
  }

  /** Notes a failure, and gives the claim back. @returns false if the claim is lost */
  async fail({ tenant, name, fence }: PullClaim, { code, message, againAfterMs, fromFirstPage }: PullFailureNote): Promise<boolean> {
    return (await this.database.query(fail, [tenant, name, fence, code, message, againAfterMs, fromFirstPage])).length > 0;
  }

  /** Has a pass begin now. */
  async start(tenant: string, name: string, { fromBeginning }: { fromBeginning: boolean }): Promise<void> {
    await this.database.query(fromBeginning ? restart : start, [tenant, name]);
  }

  /** Has pulls go on that wait for their connection: for this one, or for any. @returns whether there were some */
  async resume(connection: { readonly tenant: string; readonly name: string } | undefined): Promise<boolean> {
    return (await this.database.query(resume, [connection?.tenant ?? null, connection?.name ?? null])).length > 0;
  }

  /** The ids among these whose events are recorded. */
  async knownEvents(tenant: string, eventIds: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set((await this.database.query<{ id: string }>(known, [tenant, eventIds])).map(({ id }) => id));
  }

  /** Forgets the pulls that were removed. */
  async forgetRemoved(): Promise<void> {
    await this.database.query(forget);
  }

  conditions(): Promise<PullCondition[]> {
    return this.database.query<PullCondition>(conditions);
  }
}

function noted({ tenant, name, fence }: PullClaim, { items, repeated, skipped, lastEventId }: PulledPage): unknown[] {
  return [tenant, name, fence, items, repeated, skipped, lastEventId];
}
