import { Client } from 'pg';
import type { Json } from '#libs/json';
import { chaosTenant } from './documents.js';
import { hostileTenant, sourcesWithFlow } from './hostile-actions.js';
import type { HostileTenant } from './hostile-tenant.js';
import type { LogEvidence } from './log-reader.js';

/** The state of Postgres and the log after the run. Times are in ms since the run began. */
export interface Evidence {
  readonly events: readonly StoredEvent[];
  readonly runs: readonly StoredRun[];
  readonly deliveries: readonly StoredDelivery[];
  readonly deadLetters: readonly StoredDeadLetter[];
  readonly modelAnswers: ModelAnswers;
  readonly log: LogEvidence;
}

export interface StoredEvent {
  readonly id: string;
  /** The partner's id of the event, which is the ticket's. */
  readonly ticket: string;
  readonly recordedAt: number;
}

export interface StoredRun {
  readonly id: string;
  readonly eventId: string;
  readonly flow: string;
  readonly generation: number;
  readonly state: string;
  readonly decision: Json;
  readonly finishedAt: number | null;
}

export interface StoredDelivery {
  readonly id: string;
  readonly eventId: string;
  readonly flow: string;
  readonly destination: string;
  readonly generation: number;
  readonly state: string;
  readonly createdAt: number;
}

export interface StoredDeadLetter {
  readonly id: string;
  readonly kind: string;
  readonly code: string;
  readonly customer: string;
  readonly eventId: string | null;
  readonly resolved: boolean;
}

/** Counts of model responses, and of those that repeat one of the same step and run. */
export interface ModelAnswers {
  readonly total: number;
  /** Repeated by another claim of the run: the previous one ended between the response and its commit. */
  readonly repeatedAfterCrash: number;
  /** Repeated by the same claim, which must not happen. */
  readonly repeatedWithout: number;
}

const since = (column: string): string => `(extract(epoch FROM ${column}) * 1000 - $1)::float8`;

export async function readPostgres(databaseUrl: string, startedAt: number): Promise<Omit<Evidence, 'log'>> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const all = async <Row>(sql: string): Promise<Row[]> => (await client.query(sql, [startedAt, chaosTenant])).rows as Row[];
  try {
    const [answers] = await all<ModelAnswers>(`
      SELECT sum(answers)::float8 AS total, coalesce(sum(claims - 1), 0)::float8 AS "repeatedAfterCrash",
        coalesce(sum(answers - claims), 0)::float8 AS "repeatedWithout", $1::float8 AS since
      FROM (SELECT count(*) AS answers, count(DISTINCT fence) AS claims FROM model_attempt WHERE outcome = 'succeeded' AND tenant_id = $2
        GROUP BY tenant_id, run_id, step) AS steps`);
    return {
      events: await all(
        `SELECT id, provider_event_id AS ticket, ${since('recorded_at')} AS "recordedAt" FROM event WHERE tenant_id = $2 AND source = 'partner'`,
      ),
      runs: await all(
        `SELECT id, event_id AS "eventId", flow, generation, state, decision, ${since('finished_at')} AS "finishedAt" FROM run WHERE tenant_id = $2 AND flow = 'triage'`,
      ),
      deliveries: await all(
        `SELECT id, event_id AS "eventId", flow, destination, generation, state, ${since('created_at')} AS "createdAt" FROM delivery WHERE tenant_id = $2 AND flow = 'triage'`,
      ),
      deadLetters: await all(
        `SELECT id, kind, code, customer, event_id AS "eventId", resolved_at IS NOT NULL AS resolved, $1::float8 AS since FROM dead_letter WHERE tenant_id = $2`,
      ),
      modelAnswers: answers!,
    };
  } finally {
    await client.end();
  }
}

/** The hostile tenant's acknowledged events by where each stands: delivered, dead-lettered, waiting, completed, held, or nowhere. */
export async function hostileStates(databaseUrl: string, { accepted }: HostileTenant): Promise<Map<string, number>> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ state: string; count: number }>(
      `SELECT state, count(*)::float8 AS count FROM (
        SELECT CASE
          WHEN EXISTS (SELECT FROM dead_letter l WHERE l.tenant_id = $1 AND l.event_id::text = acknowledged.id) THEN 'dead-lettered'
          WHEN EXISTS (SELECT FROM delivery d WHERE d.tenant_id = $1 AND d.event_id::text = acknowledged.id AND d.state = 'pending') THEN 'waiting'
          WHEN EXISTS (SELECT FROM delivery d WHERE d.tenant_id = $1 AND d.event_id::text = acknowledged.id) THEN 'delivered'
          WHEN EXISTS (SELECT FROM run r WHERE r.tenant_id = $1 AND r.event_id::text = acknowledged.id AND r.state = 'running') THEN 'running'
          WHEN EXISTS (SELECT FROM run r WHERE r.tenant_id = $1 AND r.event_id::text = acknowledged.id) THEN 'completed'
          WHEN EXISTS (SELECT FROM event e JOIN hold h ON h.tenant_id = e.tenant_id AND h.customer = e.customer
            WHERE e.tenant_id = $1 AND e.id::text = acknowledged.id) THEN 'held'
          WHEN EXISTS (SELECT FROM event e WHERE e.tenant_id = $1 AND e.id::text = acknowledged.id AND e.source = ANY($3)) THEN 'without its run'
          WHEN EXISTS (SELECT FROM event e WHERE e.tenant_id = $1 AND e.id::text = acknowledged.id) THEN 'recorded, for no flow'
          ELSE 'nowhere' END AS state
        FROM unnest($2::text[]) AS acknowledged (id)) AS states GROUP BY state`,
      [hostileTenant, accepted, sourcesWithFlow],
    );
    return new Map(rows.map(({ state, count }) => [state, count]));
  } finally {
    await client.end();
  }
}
