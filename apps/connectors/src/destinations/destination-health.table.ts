import { Injectable } from '@nestjs/common';
import { closedBreaker, longestPauseMs } from '#libs/retries';
import type { Breaker } from '#libs/retries';
import { Database, columns, statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import type { DestinationName } from './destination-name.js';
import type { BreakerState } from './destination-watch.js';
import type { BlockedInterval, Health } from './health.js';

/** A destination for which a delivery is due that nobody has claimed. */
export interface DueDestination extends DestinationName {
  /** The version of the document that the known health is about; null if nothing is known of the destination. */
  readonly documentVersion: number | null;
  readonly disabled: boolean;
  readonly breaker: BreakerState;
  /** The time until something may be sent, ms; 0 if it may be sent now. */
  readonly blockedForMs: number;
}

/** A destination's health, held locked until the transaction ends. */
export interface LockedHealth extends DestinationName {
  readonly health: Health;
  /** The state of its rate limit. */
  readonly nextDueMs: number;
  /** The time by Postgres' clock, which all processes share. */
  readonly nowMs: number;
}

const epochMs = (time: string): string => `(extract(epoch FROM ${time}) * 1000)::float8`;
const timeOf = (ms: string): string => `to_timestamp(${ms} / 1000)`;
const hasTurn = `delivery.state = 'pending' AND delivery.next_attempt_at IS NOT NULL AND NOT delivery.held_back`;

/** Jumps in the index from one destination to the next and reads the first delivery of each, so the number of deliveries does not matter. */
const due = statement(
  'destinationHealth.due',
  `WITH RECURSIVE waiting AS (
     (SELECT tenant_id, destination FROM delivery WHERE ${hasTurn} ORDER BY tenant_id, destination LIMIT 1)
     UNION ALL
     SELECT following.tenant_id, following.destination FROM waiting, LATERAL (
       SELECT tenant_id, destination FROM delivery
       WHERE ${hasTurn} AND (delivery.tenant_id, delivery.destination) > (waiting.tenant_id, waiting.destination)
       ORDER BY tenant_id, destination LIMIT 1) AS following)
   SELECT waiting.tenant_id AS tenant, waiting.destination, document_version AS "documentVersion", disabled_since IS NOT NULL AS disabled,
     CASE WHEN open_until IS NOT NULL THEN 'open' WHEN breaker IS NOT NULL THEN 'troubled' ELSE 'calm' END AS breaker,
     greatest(0, ${epochMs('greatest(open_until, limited_until)')} - ${epochMs('statement_timestamp()')}) AS "blockedForMs"
   FROM waiting
   CROSS JOIN LATERAL (
     SELECT FROM delivery
     WHERE delivery.tenant_id = waiting.tenant_id AND delivery.destination = waiting.destination AND ${hasTurn}
       AND next_attempt_at <= statement_timestamp() AND (lease_until IS NULL OR lease_until < statement_timestamp())
     ORDER BY next_attempt_at LIMIT 1) AS first
   LEFT JOIN destination_health USING (tenant_id, destination)`,
);

const nameColumns = columns<DestinationName>({
  tenant_id: ['text', ({ tenant }) => tenant],
  destination: ['text', ({ destination }) => destination],
});
const versionColumns = columns<DestinationName & { readonly documentVersion: number }>({
  tenant_id: ['text', ({ tenant }) => tenant],
  destination: ['text', ({ destination }) => destination],
  document_version: ['integer', ({ documentVersion }) => documentVersion],
});
const rateColumns = columns<DestinationName & { readonly nextDueMs: number }>({
  tenant_id: ['text', ({ tenant }) => tenant],
  destination: ['text', ({ destination }) => destination],
  next_due_ms: ['float8', ({ nextDueMs }) => nextDueMs],
});

/** Sorted, like every statement that locks several destinations, so that no two transactions wait for each other. */
const adopt = statement(
  'destinationHealth.adopt',
  `INSERT INTO destination_health (${versionColumns.names})
   SELECT * FROM ${versionColumns.unnest('one')} ORDER BY tenant_id, destination
   ON CONFLICT (tenant_id, destination) DO UPDATE SET document_version = excluded.document_version, breaker = NULL, open_since = NULL,
     open_until = NULL, open_reason = NULL, limited_since = NULL, limited_until = NULL, limited_reason = NULL, disabled_since = NULL,
     disabled_reason = NULL
   WHERE destination_health.document_version < excluded.document_version`,
);

const lock = statement(
  'destinationHealth.lock',
  `SELECT health.tenant_id AS tenant, health.destination, breaker, ${epochMs('open_since')} AS "openSince", ${epochMs('open_until')} AS "openUntil",
     open_reason AS "openReason", ${epochMs('limited_since')} AS "limitedSince", ${epochMs('limited_until')} AS "limitedUntil",
     limited_reason AS "limitedReason", ${epochMs('disabled_since')} AS "disabledSince", disabled_reason AS "disabledReason",
     next_due_ms AS "nextDueMs", ${epochMs('clock_timestamp()')} AS "nowMs"
   FROM destination_health AS health
   JOIN ${nameColumns.unnest('one')} ON one.tenant_id = health.tenant_id AND one.destination = health.destination
   ORDER BY health.tenant_id, health.destination FOR UPDATE OF health`,
);

const save = statement(
  'destinationHealth.save',
  `UPDATE destination_health AS health SET breaker = one.breaker, open_since = ${timeOf('one."openSince"')},
     open_until = ${timeOf('one."openUntil"')}, open_reason = one."openReason", limited_since = ${timeOf('one."limitedSince"')},
     limited_until = ${timeOf('one."limitedUntil"')}, limited_reason = one."limitedReason", disabled_since = ${timeOf('one."disabledSince"')},
     disabled_reason = one."disabledReason"
   FROM json_to_recordset($1) AS one (tenant text, destination text, breaker json, "openSince" float8, "openUntil" float8, "openReason" text,
     "limitedSince" float8, "limitedUntil" float8, "limitedReason" text, "disabledSince" float8, "disabledReason" text)
   WHERE health.tenant_id = one.tenant AND health.destination = one.destination`,
);

const saveRate = statement(
  'destinationHealth.saveRate',
  `UPDATE destination_health AS health SET next_due_ms = one.next_due_ms
   FROM ${rateColumns.unnest('one')}
   WHERE health.tenant_id = one.tenant_id AND health.destination = one.destination`,
);

const enable = statement(
  'destinationHealth.enable',
  `UPDATE destination_health SET breaker = NULL, open_since = NULL, open_until = NULL, open_reason = NULL, limited_since = NULL,
     limited_until = NULL, limited_reason = NULL, disabled_since = NULL, disabled_reason = NULL
   WHERE tenant_id = $1 AND destination = $2 AND (disabled_since IS NULL OR disabled_since < $3)`,
);

/** Destinations whose breaker is open because of their connection. */
const waiting = statement(
  'destinationHealth.waiting',
  `SELECT tenant_id AS tenant, destination FROM destination_health WHERE open_reason = 'connection.needsReauth'`,
);

/** Closes the breaker if it is open because of the connection, and the connection works now or has a document that nobody has tried. */
const resume = statement(
  'destinationHealth.resume',
  `UPDATE destination_health AS health SET breaker = NULL, open_since = NULL, open_until = NULL, open_reason = NULL
   WHERE health.tenant_id = $1 AND health.destination = $2 AND open_reason = 'connection.needsReauth' AND EXISTS (
     SELECT FROM connection_state AS one WHERE one.tenant_id = $1 AND one.name = $3
       AND (one.state IN ('connected', 'degraded') OR (one.state <> 'disabled' AND one.document_version < $4)))
   RETURNING health.destination`,
);

/**
 * Ends intervals that are longer than any that is made, and forgets rates that lie too far ahead: they were reckoned before Postgres' clock stepped
 * back. An open breaker then lets probes through.
 */
const endOverlongWaits = statement(
  'destinationHealth.endOverlongWaits',
  `WITH bound AS (
     SELECT clock_timestamp() AS now, clock_timestamp() + $1 * interval '1 millisecond' AS open, clock_timestamp() + $2 * interval '1 millisecond' AS pause,
       ${epochMs('clock_timestamp()')} + $3 AS due_ms)
   UPDATE destination_health AS health SET
     open_until = CASE WHEN open_until > bound.open THEN bound.now ELSE open_until END,
     breaker = CASE WHEN open_until > bound.open
       THEN jsonb_set(breaker::jsonb, '{openUntilMs}', to_jsonb(${epochMs('bound.now')}))::json ELSE breaker END,
     limited_until = CASE WHEN limited_until > bound.pause THEN bound.now ELSE limited_until END,
     next_due_ms = CASE WHEN next_due_ms > bound.due_ms THEN 0 ELSE next_due_ms END
   FROM bound
   WHERE open_until > bound.open OR limited_until > bound.pause OR next_due_ms > bound.due_ms
   RETURNING health.destination`,
);
/** Far longer than the rate of a destination reaches ahead, which is about a second. */
const longestRateMs = 60_000;

const states = statement(
  'destinationHealth.states',
  `SELECT state, count(*) FROM (
     SELECT CASE WHEN disabled_since IS NOT NULL THEN 'disabled' WHEN open_until IS NOT NULL THEN 'open'
       WHEN limited_until > statement_timestamp() THEN 'limited' ELSE 'active' END AS state
     FROM destination_health) AS each GROUP BY state`,
);

interface HealthRow extends DestinationName {
  breaker: Breaker | null;
  openSince: number | null;
  openUntil: number | null;
  openReason: string | null;
  limitedSince: number | null;
  limitedUntil: number | null;
  limitedReason: string | null;
  disabledSince: number | null;
  disabledReason: string | null;
  nextDueMs: number;
  nowMs: number;
}

/** The table `destination_health`: the health of the destinations, which all processes share. */
@Injectable()
export class DestinationHealthTable {
  constructor(private readonly database: Database) {}

  /** Destinations of which nothing is sent, because their connection waits for a person. */
  waiting(): Promise<DestinationName[]> {
    return this.database.query<DestinationName>(waiting);
  }

  /** @returns true if deliveries to the destination go on, because its connection works again */
  async resume(
    { tenant, destination }: DestinationName,
    connection: { readonly name: string; readonly documentVersion: number },
  ): Promise<boolean> {
    const resumed = await this.database.query(resume, [tenant, destination, connection.name, connection.documentVersion]);
    return resumed.length > 0;
  }

  /** By tenant and name. Reads one index entry per destination, however many deliveries wait. */
  due(): Promise<DueDestination[]> {
    return this.database.query(due);
  }

  /** Records a newer version of the document. The health starts afresh: nothing is known of that version yet. */
  async adopt(destinations: readonly (DestinationName & { readonly documentVersion: number })[]): Promise<void> {
    if (destinations.length === 0) return;
    await this.database.query(adopt, versionColumns.values(destinations));
  }

  /** The health of the destinations that are known, by tenant and name, locked until the transaction of the session ends. */
  async lock(session: Session, destinations: readonly DestinationName[]): Promise<LockedHealth[]> {
    return (await session.query<HealthRow>(lock, nameColumns.values(destinations))).map(healthOf);
  }

  async save(session: Session, healths: readonly (DestinationName & { readonly health: Health })[]): Promise<void> {
    if (healths.length > 0) await session.query(save, [JSON.stringify(healths.map(rowOf))]);
  }

  async saveRates(session: Session, rates: readonly (DestinationName & { readonly nextDueMs: number })[]): Promise<void> {
    if (rates.length > 0) await session.query(saveRate, rateColumns.values(rates));
  }

  /** Resets the health of a destination, unless it was disabled after `givenAt`. */
  async enable({ tenant, destination }: DestinationName, givenAt: string): Promise<void> {
    await this.database.query(enable, [tenant, destination, givenAt]);
  }

  /**
   * Returns the number of destinations that were blocked for longer than any may be, and are not any more.
   * @param longestOpenMs the longest opening of a breaker
   */
  async endOverlongWaits(longestOpenMs: number): Promise<number> {
    return (await this.database.query(endOverlongWaits, [longestOpenMs, longestPauseMs, longestRateMs])).length;
  }

  /** The number of destinations in each state. */
  countByState(): Promise<{ state: string; count: number }[]> {
    return this.database.query(states);
  }
}

function healthOf(row: HealthRow): LockedHealth {
  const { tenant, destination, breaker, nextDueMs, nowMs, disabledSince, disabledReason } = row;
  return {
    tenant,
    destination,
    nextDueMs,
    nowMs,
    health: {
      breaker: breaker ?? closedBreaker,
      open: intervalOf(row.openSince, row.openUntil, row.openReason),
      limited: intervalOf(row.limitedSince, row.limitedUntil, row.limitedReason),
      disabled: disabledSince === null ? null : { sinceMs: disabledSince, reason: disabledReason ?? '' },
    },
  };
}

function intervalOf(sinceMs: number | null, untilMs: number | null, reason: string | null): BlockedInterval | null {
  return sinceMs === null || untilMs === null ? null : { sinceMs, untilMs, reason: reason ?? '' };
}

function rowOf({ tenant, destination, health }: DestinationName & { readonly health: Health }): Omit<HealthRow, 'nextDueMs' | 'nowMs'> {
  const { breaker, open, limited, disabled } = health;
  return {
    tenant,
    destination,
    breaker: breaker === closedBreaker ? null : breaker,
    openSince: open?.sinceMs ?? null,
    openUntil: open?.untilMs ?? null,
    openReason: open?.reason ?? null,
    limitedSince: limited?.sinceMs ?? null,
    limitedUntil: limited?.untilMs ?? null,
    limitedReason: limited?.reason ?? null,
    disabledSince: disabled?.sinceMs ?? null,
    disabledReason: disabled?.reason ?? null,
  };
}
