import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Bulk operations: their table, their list, and what they find. What an operation carries out and what its dry run counts are the same
 * functions over the same conditions as the lists, so a filter means the same everywhere.
 */
export class BulkOperations1795219200004 implements MigrationInterface {
  name = 'BulkOperations1795219200004';

  async up(runner: QueryRunner): Promise<void> {
    const functions = [...list, ...conditions, ...items.flatMap(itemFunctions)];
    for (const statement of [...table, ...rights, ...functions]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('A process may be at work on an operation: a later migration takes the table away.');
  }
}

const table = [
  // state: running, completed, cancelled, failed. Only the holder of the newest fence appends commands. total: null until it was counted;
  // counting stops at a limit, and then total_exact is false. position: the last item whose command was appended; null before the first.
  // A key of idempotency stands for one input: sent again with another one, the request is refused.
  `CREATE TABLE bulk_operation (
    tenant_id key_text NOT NULL, id key_text NOT NULL, kind text NOT NULL, selection text NOT NULL, filter jsonb NOT NULL, flow text,
    rate_per_second integer NOT NULL, state text NOT NULL DEFAULT 'running', total integer, total_exact boolean, done integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0, position json, actor text NOT NULL, fence bigint NOT NULL DEFAULT 0, lease_until timestamptz(3),
    error_code text, error_message text, started_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), finished_at timestamptz(3),
    PRIMARY KEY (tenant_id, id),
    CHECK (kind IN ('replay', 'redelivery')),
    CHECK (state IN ('running', 'completed', 'cancelled', 'failed')))`,
  `CREATE INDEX bulk_operation_started ON bulk_operation (tenant_id, started_at DESC, id DESC)`,
  `CREATE INDEX bulk_operation_running ON bulk_operation (tenant_id, started_at) WHERE state = 'running'`,

  `CREATE TABLE idempotency_key (
    tenant_id key_text NOT NULL, action key_text NOT NULL, key key_text NOT NULL, input_digest text NOT NULL,
    at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, action, key))`,
];

const rightsOfQuery: Record<string, string> = { bulk_operation: 'SELECT', idempotency_key: 'SELECT, INSERT' };

const rights = Object.entries(rightsOfQuery).flatMap(([name, granted]) => [
  `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON ${name} TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON ${name} TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO millrace_service`,
  `GRANT ${granted} ON ${name} TO millrace_query`,
]);

/** The text in `$2`, the filter, under a key. */
const given = (key: string): string => `($2->>'${key}')`;
const equal = (column: string, key = column): string => `${column} = ${given(key)}`;
const from = (column: string, key: string): string => `${column} >= ${given(key)}::timestamptz`;
const before = (column: string, key: string): string => `${column} < ${given(key)}::timestamptz`;

/** `<list>_conditions`, as migration 0002 has them. */
function conditionsOf(name: string, filters: Record<string, string>): string {
  const parts = Object.entries(filters).map(([key, condition]) => `CASE WHEN p_filter ? '${key}' THEN $c$ AND ${condition}$c$ END`);
  return `CREATE OR REPLACE FUNCTION ${name}_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT concat(${parts.join(', ')}) $$`;
}

/** Those of 0002, and what an operator asks for after an outage: from when to when, of which flow, to which destination. */
const conditions = [
  conditionsOf('delivery', {
    customer: equal('customer'),
    destination: equal('destination'),
    state: equal('state'),
    flow: equal('flow'),
    createdFrom: from('created_at', 'createdFrom'),
    createdBefore: before('created_at', 'createdBefore'),
  }),
  conditionsOf('dead_letter', {
    customer: equal('customer'),
    kind: equal('kind'),
    code: equal('code'),
    open: 'resolved_at IS NULL',
    resolved: 'resolved_at IS NOT NULL',
    flow: `EXISTS (SELECT FROM run WHERE run.tenant_id = $1 AND run.id = run_id AND ${equal('run.flow', 'flow')})`,
    destination: `EXISTS (SELECT FROM delivery WHERE delivery.tenant_id = $1 AND delivery.id = delivery_id AND ${equal('delivery.destination', 'destination')})`,
    createdFrom: from('created_at', 'createdFrom'),
    createdBefore: before('created_at', 'createdBefore'),
  }),
];

const list = [
  conditionsOf('bulk_operation', { kind: equal('kind'), state: equal('state') }),

  `CREATE FUNCTION bulk_operation_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
   RETURNS SETOF bulk_operation LANGUAGE plpgsql AS $$
   BEGIN
     PERFORM set_config('millrace.tenant', p_tenant, true);
     RETURN QUERY EXECUTE concat(
       'SELECT * FROM bulk_operation WHERE tenant_id = $1', bulk_operation_conditions(p_filter),
       CASE WHEN p_key IS NULL THEN ''
            WHEN p_backward THEN ' AND (started_at, id) > ($3::timestamptz, $4)'
            ELSE ' AND (started_at, id) < ($3::timestamptz, $4)' END,
       CASE WHEN p_backward THEN ' ORDER BY started_at ASC, id ASC' ELSE ' ORDER BY started_at DESC, id DESC' END,
       ' LIMIT $5')
     USING p_tenant, p_filter, p_key, p_id, p_limit;
   END $$`,

  `CREATE FUNCTION bulk_operation_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
   DECLARE
     found integer;
   BEGIN
     PERFORM set_config('millrace.tenant', p_tenant, true);
     EXECUTE concat('SELECT count(*) FROM (SELECT FROM bulk_operation WHERE tenant_id = $1', bulk_operation_conditions(p_filter), ' LIMIT $3) AS bounded')
     INTO found USING p_tenant, p_filter, p_limit;
     RETURN found;
   END $$`,

  `CREATE FUNCTION bulk_operations_by_id(p_tenant text, p_keys text[]) RETURNS SETOF bulk_operation LANGUAGE plpgsql AS $$
   BEGIN
     PERFORM set_config('millrace.tenant', p_tenant, true);
     RETURN QUERY SELECT * FROM bulk_operation WHERE tenant_id = p_tenant AND id = ANY (p_keys);
   END $$`,
];

interface Items {
  name: string;
  /** Which list's conditions the filter is of. */
  list: string;
  /**
   * Selects each item with its place: `at`, `place`, `key`, in the order in which the things themselves came, whatever order they were
   * parked in: of one customer the older is ordered first. `$1` is the tenant, `$2` the filter, `$3` when the operation started.
   */
  before: string;
  after: string;
}

const letters = (kind: string): string =>
  `dead_letter_summary WHERE tenant_id = $1 AND kind = '${kind}' AND resolved_at IS NULL AND created_at <= $3`;

const items: Items[] = [
  {
    name: 'replay_of_events',
    list: 'event',
    before: `SELECT received_at AS at, log_offset AS place, id::text AS key, id::text AS subject, NULL::text AS flow, customer::text
      FROM event WHERE tenant_id = $1 AND received_at <= $3`,
    after: '',
  },
  {
    // Several generations of a flow may have failed on an event: that is one item.
    name: 'replay_of_dead_letters',
    list: 'dead_letter',
    before: `SELECT DISTINCT event.received_at AS at, event.log_offset AS place, event.id || '/' || run.flow AS key, event.id::text AS subject,
        run.flow::text AS flow, event.customer::text
      FROM (SELECT run_id FROM ${letters('run')}`,
    after: `) AS letter
      JOIN run ON run.tenant_id = $1 AND run.id = letter.run_id
      JOIN event ON event.tenant_id = $1 AND event.id = run.event_id`,
  },
  {
    name: 'redelivery_of_deliveries',
    list: 'delivery',
    before: `SELECT created_at AS at, position AS place, id::text AS key, id::text AS subject, NULL::text AS flow, customer::text
      FROM delivery WHERE tenant_id = $1 AND created_at <= $3`,
    after: '',
  },
  {
    name: 'redelivery_of_dead_letters',
    list: 'dead_letter',
    before: `SELECT delivery.created_at AS at, delivery.position AS place, delivery.id::text AS key, delivery.id::text AS subject,
        NULL::text AS flow, delivery.customer::text
      FROM (SELECT delivery_id FROM ${letters('delivery')}`,
    after: `) AS letter
      JOIN delivery ON delivery.tenant_id = $1 AND delivery.id = letter.delivery_id`,
  },
];

/** `<name>_items`: the next after a place; `<name>_count`: how many there are, counted up to a limit. */
function itemFunctions({ name, list: conditionsOfList, before: head, after: tail }: Items): string[] {
  const found = `'SELECT * FROM (${quoted(head)}', ${conditionsOfList}_conditions(p_filter), '${quoted(tail)}) AS item'`;
  return [
    `CREATE FUNCTION ${name}_items(p_tenant text, p_filter jsonb, p_until timestamptz, p_at text, p_place bigint, p_key text, p_limit integer)
     RETURNS TABLE (at timestamptz, place bigint, key text, subject text, flow text, customer text) LANGUAGE plpgsql AS $$
     BEGIN
       PERFORM set_config('millrace.tenant', p_tenant, true);
       RETURN QUERY EXECUTE concat(${found},
         CASE WHEN p_at IS NULL THEN '' ELSE ' WHERE (at, place, key) > ($4::timestamptz, $5, $6)' END,
         ' ORDER BY at, place, key LIMIT $7')
       USING p_tenant, p_filter, p_until, p_at, p_place, p_key, p_limit;
     END $$`,

    `CREATE FUNCTION ${name}_count(p_tenant text, p_filter jsonb, p_until timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
     DECLARE
       found integer;
     BEGIN
       PERFORM set_config('millrace.tenant', p_tenant, true);
       EXECUTE concat('SELECT count(*) FROM (', ${found}, ' LIMIT $4) AS bounded') INTO found USING p_tenant, p_filter, p_until, p_limit;
       RETURN found;
     END $$`,
  ];
}

const quoted = (sql: string): string => sql.replaceAll("'", "''");
