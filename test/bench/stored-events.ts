import { Client } from 'pg';

const perChunk = 250_000;
/** The stored events are spread over this many days. */
const days = 30;
/** Number of customers of the stored events and of the load, whatever the size of the tables. */
export const storedCustomers = 5_000;

/** SQL for the time at the beginning of an id, as libs/contracts writes it: nine characters of five bits each. */
const timeText = (ms: string): string =>
  Array.from({ length: 9 }, (_, at) => `substr('0123456789abcdefghjkmnpqrstvwxyz', (${ms} >> ${5 * (8 - at)} & 31)::integer + 1, 1)`).join(
    ' || ',
  );

/** Columns: `e`, `r` and `d` are the ids of event, run and delivery without their prefixes; `trace` is the trace id. */
const row = `moment AS (
    SELECT n, $4::timestamptz - (1 - n::float8 / $3) * interval '${days} days' AS at FROM generate_series($1::bigint, $2::bigint - 1) AS n),
  timed AS MATERIALIZED (
    SELECT n, at, floor(extract(epoch FROM at) * 1000)::bigint AS ms FROM moment),
  n AS (
    SELECT n, at, md5('e' || n) AS e, ${timeText('ms')} || substr(md5('r' || n), 1, 16) AS r, ${timeText('ms')} || substr(md5('d' || n), 1, 26) AS d,
      md5('t' || n) AS trace, 'customer-' || (hashint8(n) & 1048575) % ${storedCustomers} AS customer
    FROM timed)`;

/** Inserts events with all rows that the services derive from them. */
const statements = [
  `WITH ${row} INSERT INTO event (tenant_id, id, source, customer, type, lane, provider_event_id, occurred_at, received_at, recorded_at, trace_id,
     content_type, body, log_topic, log_partition, log_offset)
   SELECT 'bench', 'evt_' || e, 'github', customer, 'issues', 'normal', 'filled-' || n, at, at, at, trace, 'application/json',
     '{"action":"opened","issue":{"title":"Checkout crashes"}}', 'events.normal', n % 24, n FROM n`,
  `WITH ${row} INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, state, fence, decision, deliveries, trace_id,
     started_at, finished_at)
   SELECT 'bench', 'run_' || r, 'evt_' || e, customer, 'assess', 1, 0, 'completed', 1, '{"urgency":0.5}',
     '[{"step":"tell","destination":"sink","payload":{"decision":{"urgency":0.5}}}]', trace, at, at FROM n`,
  `WITH ${row} INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, output, model, started_at, finished_at)
   SELECT 'bench', 'run_' || r, step, 'evt_' || e, step, 'succeeded', '{"urgency":0.5}', 'local/rules-1', at, at
   FROM n, (VALUES ('assess'), ('tell')) AS of (step)`,
  `WITH ${row} INSERT INTO model_attempt (tenant_id, run_id, step, number, fence, event_id, model, outcome, started_at, finished_at)
   SELECT 'bench', 'run_' || r, 'assess', 1, 1, 'evt_' || e, 'local/rules-1', 'succeeded', at, at FROM n`,
  `WITH ${row} INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, attempts,
     announced_attempts, retries_left, fence, event_received_at, created_at, settled_at)
   SELECT 'bench', 'dlv_' || d, 'evt_' || e, 'run_' || r, 'assess', 0, 'tell', customer, 'sink', '{"decision":{"urgency":0.5}}', 'delivered', 1,
     1, 5, 1, at, at, at FROM n`,
  `WITH ${row} INSERT INTO attempt (tenant_id, delivery_id, number, event_id, outcome, status, started_at, finished_at, announced)
   SELECT 'bench', 'dlv_' || d, 1, 'evt_' || e, 'succeeded', 204, at, at, true FROM n`,
];

const tables = ['event', 'run', 'step_result', 'model_attempt', 'delivery', 'attempt'];

/**
 * Fills a migrated database with finished events of the last month. The ids of events are in random order, as hashes are; the ids of runs and deliveries
 * are in the order of time. The indexes are created after the rows, because ten million insertions into each would take hours.
 */
export async function storeEvents(databaseUrl: string, events: number): Promise<void> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'millrace-bench-fill' });
  await client.connect();
  await client.query(`SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 2`);
  const indexes = await dropIndexes(client);
  const until = new Date();
  for (let from = 0; from < events; from += perChunk) {
    for (const text of statements) await client.query(text, [from, Math.min(events, from + perChunk), events, until]);
  }
  await client.query(
    `INSERT INTO customer (tenant_id, customer, first_event_at, last_event_at)
     SELECT tenant_id, customer, min(received_at), max(received_at) FROM event GROUP BY tenant_id, customer`,
  );
  for (const make of indexes) await client.query(make);
  await client.query(`VACUUM (ANALYZE) ${tables.join(', ')}`);
  await client.end();
}

/** Drops all indexes and keys. Returns the statements that create them again. */
async function dropIndexes(client: Client): Promise<string[]> {
  const { rows: constraints } = await client.query<{ table: string; name: string; definition: string }>(
    `SELECT conrelid::regclass::text AS table, conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
     WHERE contype IN ('p', 'u') AND conrelid = ANY ($1::regclass[])`,
    [tables],
  );
  for (const { table, name } of constraints) await client.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`);
  const { rows: indexes } = await client.query<{ name: string; definition: string }>(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY ($1)`,
    [tables],
  );
  for (const { name } of indexes) await client.query(`DROP INDEX ${name}`);
  return [
    ...constraints.map(({ table, name, definition }) => `ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`),
    ...indexes.map(({ definition }) => definition),
  ];
}
