import { Client } from 'pg';
import type { Json } from '#libs/contracts';
import type { LogEvidence } from './log-reader.js';

/** What is found in Postgres and on the log after the run. Times are ms since the run began. */
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
  /** The partner's own id: the ticket's. */
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

/** Answers of models that were got more than once for one step of a run. */
export interface ModelAnswers {
  readonly total: number;
  /** By another claim of the run: the one before ended between the answer and its commit. */
  readonly repeatedAfterCrash: number;
  /** By one and the same claim: there is no reason for that. */
  readonly repeatedWithout: number;
}

const since = (column: string): string => `(extract(epoch FROM ${column}) * 1000 - $1)::float8`;

export async function readPostgres(databaseUrl: string, startedAt: number): Promise<Omit<Evidence, 'log'>> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const all = async <Row>(sql: string): Promise<Row[]> => (await client.query(sql, [startedAt])).rows as Row[];
  try {
    const [answers] = await all<ModelAnswers>(`
      SELECT sum(answers)::float8 AS total, coalesce(sum(claims - 1), 0)::float8 AS "repeatedAfterCrash",
        coalesce(sum(answers - claims), 0)::float8 AS "repeatedWithout", $1::float8 AS since
      FROM (SELECT count(*) AS answers, count(DISTINCT fence) AS claims FROM model_attempt WHERE outcome = 'succeeded'
        GROUP BY tenant_id, run_id, step) AS steps`);
    return {
      events: await all(`SELECT id, provider_event_id AS ticket, ${since('recorded_at')} AS "recordedAt" FROM event`),
      runs: await all(
        `SELECT id, event_id AS "eventId", flow, generation, state, decision, ${since('finished_at')} AS "finishedAt" FROM run`,
      ),
      deliveries: await all(
        `SELECT id, event_id AS "eventId", flow, destination, generation, state, ${since('created_at')} AS "createdAt" FROM delivery`,
      ),
      deadLetters: await all(
        `SELECT id, kind, code, customer, event_id AS "eventId", resolved_at IS NOT NULL AS resolved, $1::float8 AS since FROM dead_letter`,
      ),
      modelAnswers: answers!,
    };
  } finally {
    await client.end();
  }
}
