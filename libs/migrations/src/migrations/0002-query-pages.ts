import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What GraphQL reads. Each function sets the tenant for row-level security and returns its rows in one round trip; a transaction around a
 * plain query would cost four. They run with the caller's rights, so a caller sees no more through them than without them.
 */
export class QueryPages1795219200001 implements MigrationInterface {
  name = 'QueryPages1795219200001';

  async up(runner: QueryRunner): Promise<void> {
    const functions = [eventState, ...lists.flatMap(listFunctions), ...batches, timelines];
    for (const statement of [...indexes, ...audit, ...views, ...functions]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('Functions that a running service calls are replaced by a later migration, never taken away.');
  }
}

/** One per filter that would otherwise walk a tenant's whole history. Types compare by bytes, so that a prefix is a range. */
const indexes = [
  `CREATE INDEX event_source ON event (tenant_id, source, received_at DESC, id DESC)`,
  `CREATE INDEX event_type ON event (tenant_id, type COLLATE "C", received_at DESC, id DESC)`,
  `CREATE INDEX run_unfinished ON run (tenant_id, event_id) WHERE state <> 'completed'`,
  `CREATE INDEX run_failed ON run (tenant_id, started_at DESC, id DESC) WHERE state = 'failed'`,
  `CREATE INDEX delivery_customer ON delivery (tenant_id, customer, created_at DESC, id DESC)`,
  `CREATE INDEX delivery_unsettled ON delivery (tenant_id, event_id) WHERE state <> 'delivered'`,
  `CREATE INDEX delivery_parked ON delivery (tenant_id, created_at DESC, id DESC) WHERE state = 'parked'`,
  `CREATE INDEX dead_letter_open ON dead_letter (tenant_id, created_at DESC, id DESC) WHERE resolved_at IS NULL`,
];

/** A mutation that is sent again with its idempotency key is one entry, as it is one command. */
const audit = [
  `ALTER TABLE audit_entry ADD COLUMN command_id key_text`,
  `CREATE UNIQUE INDEX audit_entry_command ON audit_entry (tenant_id, command_id) WHERE command_id IS NOT NULL`,
  `CREATE INDEX audit_entry_target ON audit_entry (tenant_id, target, at)`,
];

/** Rows without what would make a page heavy. */
const views = [
  `CREATE VIEW event_summary WITH (security_invoker = true) AS
     SELECT e.tenant_id, e.id, e.source, e.customer, e.type, e.lane, e.provider_event_id, e.occurred_at, e.received_at, e.recorded_at,
       e.trace_id, e.content_type, coalesce(c.first_event_at, e.received_at) AS customer_first_event_at,
       coalesce(c.last_event_at, e.received_at) AS customer_last_event_at
     FROM event e LEFT JOIN customer c ON c.tenant_id = e.tenant_id AND c.customer = e.customer`,
  `CREATE VIEW dead_letter_summary WITH (security_invoker = true) AS
     SELECT tenant_id, id, kind, customer, code, message, event_id, run_id, delivery_id, position, created_at, resolved_at FROM dead_letter`,
  `GRANT SELECT ON event_summary, dead_letter_summary TO millrace_query, millrace_service`,
];

/**
 * How far an event got. Of every flow the newest generation counts. A run that planned more deliveries than there are rows is still
 * delivering: they are written a moment after it completes.
 */
const eventState = `
  CREATE FUNCTION event_state(p_tenant text, p_event text) RETURNS text LANGUAGE sql STABLE AS $$
    WITH latest AS (
      SELECT DISTINCT ON (r.flow) r.id, r.state, CASE WHEN json_typeof(r.deliveries) = 'array' THEN json_array_length(r.deliveries) ELSE 0 END AS planned
      FROM run r WHERE r.tenant_id = p_tenant AND r.event_id = p_event ORDER BY r.flow, r.generation DESC),
    sent AS (
      SELECT d.state FROM delivery d
      WHERE d.tenant_id = p_tenant AND d.event_id = p_event AND d.run_id IN (SELECT id FROM latest))
    SELECT CASE
      WHEN EXISTS (SELECT FROM latest WHERE state = 'failed') OR EXISTS (SELECT FROM sent WHERE state = 'parked')
        OR EXISTS (SELECT FROM dead_letter x WHERE x.tenant_id = p_tenant AND x.event_id = p_event AND x.kind = 'record' AND x.resolved_at IS NULL)
        THEN 'parked'
      WHEN EXISTS (SELECT FROM latest WHERE state = 'running') THEN 'running'
      WHEN EXISTS (SELECT FROM sent WHERE state = 'pending') OR (SELECT sum(planned) FROM latest) > (SELECT count(*) FROM sent) THEN 'delivering'
      WHEN EXISTS (SELECT FROM latest) THEN 'completed'
      ELSE 'recorded' END
  $$`;

/** The text in `$2`, the filter, under a key. */
const given = (key: string): string => `($2->>'${key}')`;
const equal = (column: string, key: string): string => `${column} = ${given(key)}`;
const startsWith = (column: string, key: string): string =>
  `${column} COLLATE "C" >= ${given(key)} AND ${column} COLLATE "C" < ${given(key)} || chr(1114111)`;
const anyOf = (expression: string, key: string): string => `${expression} = ANY (ARRAY(SELECT jsonb_array_elements_text($2->'${key}')))`;

interface List {
  name: string;
  relation: string;
  /** What the list is sorted by, before the id. */
  key: { column: string; type: 'timestamptz' | 'text' };
  id: string;
  ascending?: boolean;
  /** The condition that each key of the filter stands for. `$1` is the tenant, `$2` the filter. */
  filters: Record<string, string>;
}

const customerFilters = { keyPrefix: startsWith('customer', 'keyPrefix') };

const lists: List[] = [
  {
    name: 'event',
    relation: 'event_summary',
    key: { column: 'received_at', type: 'timestamptz' },
    id: 'id',
    filters: {
      customer: equal('customer', 'customer'),
      sources: anyOf('source', 'sources'),
      type: `type COLLATE "C" = ${given('type')}`,
      typePrefix: startsWith('type', 'typePrefix'),
      receivedFrom: `received_at >= ${given('receivedFrom')}::timestamptz`,
      receivedBefore: `received_at < ${given('receivedBefore')}::timestamptz`,
      states: anyOf('event_state(tenant_id, id)', 'states'),
      // Set beside `states` where they are all rare: few candidates are looked at instead of every event in turn.
      unsettled: `id IN (
        SELECT event_id FROM run WHERE tenant_id = $1 AND state <> 'completed'
        UNION SELECT event_id FROM delivery WHERE tenant_id = $1 AND state <> 'delivered'
        UNION SELECT event_id FROM dead_letter WHERE tenant_id = $1 AND resolved_at IS NULL)`,
    },
  },
  {
    name: 'run',
    relation: 'run',
    key: { column: 'started_at', type: 'timestamptz' },
    id: 'id',
    filters: { customer: equal('customer', 'customer'), flow: equal('flow', 'flow'), state: equal('state', 'state') },
  },
  {
    name: 'delivery',
    relation: 'delivery',
    key: { column: 'created_at', type: 'timestamptz' },
    id: 'id',
    filters: { customer: equal('customer', 'customer'), destination: equal('destination', 'destination'), state: equal('state', 'state') },
  },
  {
    name: 'dead_letter',
    relation: 'dead_letter_summary',
    key: { column: 'created_at', type: 'timestamptz' },
    id: 'id',
    filters: {
      customer: equal('customer', 'customer'),
      kind: equal('kind', 'kind'),
      code: equal('code', 'code'),
      open: 'resolved_at IS NULL',
      resolved: 'resolved_at IS NOT NULL',
    },
  },
  {
    name: 'customer_by_last_event',
    relation: 'customer',
    key: { column: 'last_event_at', type: 'timestamptz' },
    id: 'customer',
    filters: customerFilters,
  },
  {
    name: 'customer_by_key',
    relation: 'customer',
    key: { column: 'customer', type: 'text' },
    id: 'customer',
    ascending: true,
    filters: customerFilters,
  },
];

/**
 * `<list>_page` and `<list>_count`. The statement is put together from the filter's keys and planned for the values given, because one plan for
 * all filters would be wrong for most; values only ever travel as parameters.
 */
function listFunctions({ name, relation, key, id, ascending = false, filters }: List): string[] {
  const conditions = Object.entries(filters).map(
    ([filter, condition]) => `CASE WHEN p_filter ? '${filter}' THEN $c$ AND ${condition}$c$ END`,
  );
  const position = `(${key.column}, ${id})`;
  const [forward, backward] = ascending ? ['ASC', 'DESC'] : ['DESC', 'ASC'];
  const [after, before] = ascending ? ['>', '<'] : ['<', '>'];
  return [
    `CREATE FUNCTION ${name}_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
       SELECT concat(${conditions.join(', ')}) $$`,

    `CREATE FUNCTION ${name}_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
     RETURNS SETOF ${relation} LANGUAGE plpgsql AS $$
     BEGIN
       PERFORM set_config('millrace.tenant', p_tenant, true);
       RETURN QUERY EXECUTE concat(
         'SELECT * FROM ${relation} WHERE tenant_id = $1', ${name}_conditions(p_filter),
         CASE WHEN p_key IS NULL THEN ''
              WHEN p_backward THEN ' AND ${position} ${before} ($3::${key.type}, $4)'
              ELSE ' AND ${position} ${after} ($3::${key.type}, $4)' END,
         CASE WHEN p_backward THEN ' ORDER BY ${key.column} ${backward}, ${id} ${backward}'
              ELSE ' ORDER BY ${key.column} ${forward}, ${id} ${forward}' END,
         ' LIMIT $5')
       USING p_tenant, p_filter, p_key, p_id, p_limit;
     END $$`,

    `CREATE FUNCTION ${name}_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
     DECLARE
       found integer;
     BEGIN
       PERFORM set_config('millrace.tenant', p_tenant, true);
       EXECUTE concat('SELECT count(*) FROM (SELECT FROM ${relation} WHERE tenant_id = $1', ${name}_conditions(p_filter), ' LIMIT $3) AS bounded')
       INTO found USING p_tenant, p_filter, p_limit;
       RETURN found;
     END $$`,
  ];
}

/** `name(tenant, keys)`: the rows for all keys at once. */
function batch(name: string, returns: string, query: string): string {
  return `CREATE FUNCTION ${name}(p_tenant text, p_keys text[]) RETURNS ${returns} LANGUAGE plpgsql AS $$
    #variable_conflict use_column
    BEGIN
      PERFORM set_config('millrace.tenant', p_tenant, true);
      RETURN QUERY ${query};
    END $$`;
}

const byId = (name: string, relation: string, id = 'id'): string =>
  batch(name, `SETOF ${relation}`, `SELECT * FROM ${relation} WHERE tenant_id = p_tenant AND ${id} = ANY (p_keys)`);

/** The newest 100 rows of each key: one event's history must not crowd out the page's other events. */
const newestOf = (name: string, relation: string, owner: string, order: string): string =>
  batch(
    name,
    `SETOF ${relation}`,
    `SELECT row.* FROM unnest(p_keys) AS given (key)
     CROSS JOIN LATERAL (SELECT * FROM ${relation} WHERE tenant_id = p_tenant AND ${owner} = given.key ORDER BY ${order} DESC, id DESC LIMIT 100) AS row`,
  );

const batches = [
  byId('events_by_id', 'event_summary'),
  byId('runs_by_id', 'run'),
  byId('deliveries_by_id', 'delivery'),
  byId('dead_letters_by_id', 'dead_letter_summary'),
  byId('customers_by_key', 'customer', 'customer'),
  newestOf('runs_of_events', 'run', 'event_id', 'started_at'),
  newestOf('deliveries_of_events', 'delivery', 'event_id', 'created_at'),
  newestOf('dead_letters_of_events', 'dead_letter_summary', 'event_id', 'created_at'),
  batch(
    'event_bodies',
    'TABLE (id text, content_type text, body bytea)',
    `SELECT id::text, content_type, body FROM event WHERE tenant_id = p_tenant AND id = ANY (p_keys)`,
  ),
  batch('event_states', 'TABLE (id text, state text)', `SELECT key, event_state(p_tenant, key) FROM unnest(p_keys) AS given (key)`),
  batch(
    'steps_of_runs',
    'SETOF step_result',
    `SELECT * FROM step_result WHERE tenant_id = p_tenant AND run_id = ANY (p_keys) ORDER BY finished_at, step`,
  ),
  batch(
    'model_attempts_of_runs',
    'SETOF model_attempt',
    `SELECT * FROM model_attempt WHERE tenant_id = p_tenant AND run_id = ANY (p_keys) ORDER BY started_at, number`,
  ),
  batch(
    'deliveries_of_runs',
    'SETOF delivery',
    `SELECT d.* FROM run r JOIN delivery d ON d.tenant_id = r.tenant_id AND d.event_id = r.event_id AND d.run_id = r.id
     WHERE r.tenant_id = p_tenant AND r.id = ANY (p_keys) ORDER BY d.created_at, d.id`,
  ),
  batch(
    'attempts_of_deliveries',
    'SETOF attempt',
    `SELECT * FROM attempt WHERE tenant_id = p_tenant AND delivery_id = ANY (p_keys) ORDER BY number`,
  ),
];

/** Everything that happened to events, in order, at most 1000 entries each. `rank` orders what happened at the same moment. */
const timelines = batch(
  'event_timelines',
  `TABLE (event_id text, at timestamptz, kind text, subject text, detail text, code text, run_id text, step text, delivery_id text,
     dead_letter_id text, attempt integer, actor text)`,
  `WITH subject_run AS (SELECT * FROM run r WHERE r.tenant_id = p_tenant AND r.event_id = ANY (p_keys)),
   subject_delivery AS (SELECT * FROM delivery d WHERE d.tenant_id = p_tenant AND d.event_id = ANY (p_keys)),
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
