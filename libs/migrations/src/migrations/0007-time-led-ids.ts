import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Deliveries are found by their runs, whose ids begin with a time, and no longer by their events, whose ids are hashes: an index that a hash leads
 * is touched at a random page, another one for each event, and the more is stored the more there are.
 */
export class TimeLedIds1795219200006 implements MigrationInterface {
  name = 'TimeLedIds1795219200006';

  async up(runner: QueryRunner): Promise<void> {
    const functions = [eventState, deliveriesOfEvents, deliveriesOfRuns, timelines];
    for (const statement of [...deliveries, ...unfinished, ...ascending, ...functions]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Functions that a running service calls are replaced by a later migration, never taken away.');
  }
}

/**
 * One delivery per step of a run, whatever its id: a build that still makes ids without a time may plan the same decision while a newer one takes
 * over.
 */
const deliveries = [`CREATE UNIQUE INDEX delivery_run ON delivery (tenant_id, run_id, step, destination)`, `DROP INDEX delivery_event`];

/** What is unfinished, by when it began, as its lists have it; of runs it holds the failed ones too. */
const unfinished = [
  `DROP INDEX run_unfinished`,
  `DROP INDEX run_failed`,
  `CREATE INDEX run_unfinished ON run (tenant_id, started_at, id) WHERE state <> 'completed'`,
  `DROP INDEX delivery_unsettled`,
  `CREATE INDEX delivery_unsettled ON delivery (tenant_id, created_at, id) WHERE state <> 'delivered'`,
];

/**
 * Read backwards for the newest first. What is new stands at the end then, and Postgres leaves pages full behind it; where it stands at the
 * beginning, each page is split in halves.
 */
const ascending = (
  [
    ['event_received', 'event', 'received_at'],
    ['event_customer', 'event', 'customer, received_at'],
    ['event_source', 'event', 'source, received_at'],
    ['event_type', 'event', 'type COLLATE "C", received_at'],
    ['run_started', 'run', 'started_at'],
    ['run_customer', 'run', 'customer, started_at'],
    ['delivery_created', 'delivery', 'created_at'],
    ['delivery_customer', 'delivery', 'customer, created_at'],
  ] as const
).flatMap(([name, table, columns]) => [`DROP INDEX ${name}`, `CREATE INDEX ${name} ON ${table} (tenant_id, ${columns}, id)`]);

/** As migration 0002 has it. */
const eventState = `
  CREATE OR REPLACE FUNCTION event_state(p_tenant text, p_event text) RETURNS text LANGUAGE sql STABLE AS $$
    WITH latest AS (
      SELECT DISTINCT ON (r.flow) r.id, r.state, CASE WHEN json_typeof(r.deliveries) = 'array' THEN json_array_length(r.deliveries) ELSE 0 END AS planned
      FROM run r WHERE r.tenant_id = p_tenant AND r.event_id = p_event ORDER BY r.flow, r.generation DESC),
    sent AS (SELECT d.state FROM latest JOIN delivery d ON d.tenant_id = p_tenant AND d.run_id = latest.id)
    SELECT CASE
      WHEN EXISTS (SELECT FROM latest WHERE state = 'failed') OR EXISTS (SELECT FROM sent WHERE state = 'parked')
        OR EXISTS (SELECT FROM dead_letter x WHERE x.tenant_id = p_tenant AND x.event_id = p_event AND x.kind = 'record' AND x.resolved_at IS NULL)
        THEN 'parked'
      WHEN EXISTS (SELECT FROM latest WHERE state = 'running') THEN 'running'
      WHEN EXISTS (SELECT FROM sent WHERE state = 'pending') OR (SELECT sum(planned) FROM latest) > (SELECT count(*) FROM sent) THEN 'delivering'
      WHEN EXISTS (SELECT FROM latest) THEN 'completed'
      ELSE 'recorded' END
  $$`;

/** `name(tenant, keys)`: the rows for all keys at once. */
function batch(name: string, returns: string, query: string): string {
  return `CREATE OR REPLACE FUNCTION ${name}(p_tenant text, p_keys text[]) RETURNS ${returns} LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    BEGIN
      PERFORM set_config('millrace.tenant', p_tenant, true);
      RETURN QUERY ${query};
    END $$`;
}

/** The newest 100 of each event. */
const deliveriesOfEvents = batch(
  'deliveries_of_events',
  'SETOF delivery',
  `SELECT row.* FROM unnest(p_keys) AS given (key)
   CROSS JOIN LATERAL (
     SELECT d.* FROM run r JOIN delivery d ON d.tenant_id = r.tenant_id AND d.run_id = r.id
     WHERE r.tenant_id = p_tenant AND r.event_id = given.key ORDER BY d.created_at DESC, d.id DESC LIMIT 100) AS row`,
);

const deliveriesOfRuns = batch(
  'deliveries_of_runs',
  'SETOF delivery',
  `SELECT * FROM delivery WHERE tenant_id = p_tenant AND run_id = ANY (p_keys) ORDER BY created_at, id`,
);

/** As migration 0002 has it: everything that happened to events, in order, at most 1000 entries each. `rank` orders what happened at the same moment. */
const timelines = batch(
  'event_timelines',
  `TABLE (event_id text, at timestamptz, kind text, subject text, detail text, code text, run_id text, step text, delivery_id text,
     dead_letter_id text, attempt integer, actor text)`,
  `WITH subject_run AS (SELECT * FROM run r WHERE r.tenant_id = p_tenant AND r.event_id = ANY (p_keys)),
   subject_delivery AS (SELECT d.* FROM subject_run r JOIN delivery d ON d.tenant_id = r.tenant_id AND d.run_id = r.id),
   entry (rank, event_id, at, kind, subject, detail, code, run_id, step, delivery_id, dead_letter_id, attempt, actor) AS (
     SELECT 0, e.id, e.received_at, 'received', e.source, NULL, NULL, NULL, NULL, NULL, NULL, NULL::integer, NULL
       FROM event e WHERE e.tenant_id = p_tenant AND e.id = ANY (p_keys)
     UNION ALL SELECT 1, e.id, e.recorded_at, 'recorded', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
       FROM event e WHERE e.tenant_id = p_tenant AND e.id = ANY (p_keys)
     UNION ALL SELECT 2, a.target, a.at, 'replayRequested', a.detail->>'flow', NULL, NULL, NULL, NULL, NULL, NULL, NULL, a.actor
       FROM audit_entry a WHERE a.tenant_id = p_tenant AND a.target = ANY (p_keys) AND a.action = 'replayEvents'
     UNION ALL SELECT 3, r.event_id, r.started_at, 'runStarted', r.flow, r.generation::text, NULL, r.id, NULL, NULL, NULL, NULL, NULL
       FROM subject_run r
     UNION ALL SELECT 4, r.event_id, m.finished_at, 'modelAttempt', m.model, m.outcome, m.error_code, r.id, m.step, NULL, NULL, m.number, NULL
       FROM subject_run r JOIN model_attempt m ON m.tenant_id = r.tenant_id AND m.run_id = r.id
     UNION ALL SELECT 5, r.event_id, s.finished_at, 'stepFinished', s.kind, s.state, NULL, r.id, s.step, NULL, NULL, NULL, NULL
       FROM subject_run r JOIN step_result s ON s.tenant_id = r.tenant_id AND s.run_id = r.id
     UNION ALL SELECT 6, r.event_id, r.finished_at, CASE r.state WHEN 'failed' THEN 'runFailed' ELSE 'runCompleted' END, r.flow, r.error_message,
         r.error_code, r.id, NULL, NULL, NULL, NULL, NULL
       FROM subject_run r WHERE r.finished_at IS NOT NULL
     UNION ALL SELECT 7, d.event_id, d.created_at, 'deliveryScheduled', d.destination, NULL, NULL, d.run_id, d.step, d.id, NULL, NULL, NULL
       FROM subject_delivery d
     UNION ALL SELECT 8, d.event_id, a.at, 'redeliveryRequested', d.destination, NULL, NULL, d.run_id, d.step, d.id, NULL, NULL, a.actor
       FROM subject_delivery d JOIN audit_entry a ON a.tenant_id = d.tenant_id AND a.target = d.id AND a.action = 'redeliver'
     UNION ALL SELECT 9, d.event_id, t.finished_at, 'deliveryAttempt', d.destination, coalesce(t.status::text, t.error_message), t.error_code, d.run_id,
         d.step, d.id, NULL, t.number, NULL
       FROM subject_delivery d JOIN attempt t ON t.tenant_id = d.tenant_id AND t.delivery_id = d.id
     UNION ALL SELECT 10, x.event_id, x.created_at, 'parked', x.kind, x.message, x.code, x.run_id, NULL, x.delivery_id, x.id, NULL, NULL
       FROM dead_letter x WHERE x.tenant_id = p_tenant AND x.event_id = ANY (p_keys))
   SELECT event_id::text, at, kind, subject::text, detail, code, run_id::text, step::text, delivery_id::text, dead_letter_id::text, attempt, actor
   FROM (SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY at, rank, attempt) AS place FROM entry) AS ordered
   WHERE place <= 1000 ORDER BY event_id, place`,
);
