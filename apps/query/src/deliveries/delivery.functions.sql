-- What delivery.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

CREATE OR REPLACE FUNCTION delivery_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'customer' THEN $c$ AND customer = ($2->>'customer')$c$ END,
    CASE WHEN p_filter ? 'destination' THEN $c$ AND destination = ($2->>'destination')$c$ END,
    CASE WHEN p_filter ? 'state' THEN $c$ AND state = ($2->>'state')$c$ END,
    CASE WHEN p_filter ? 'flow' THEN $c$ AND flow = ($2->>'flow')$c$ END,
    CASE WHEN p_filter ? 'createdFrom' THEN $c$ AND created_at >= ($2->>'createdFrom')::timestamptz$c$ END,
    CASE WHEN p_filter ? 'createdBefore' THEN $c$ AND created_at < ($2->>'createdBefore')::timestamptz$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION delivery_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF delivery LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM delivery WHERE tenant_id = $1', delivery_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (created_at, id) > ($3::timestamptz, $4)'
         ELSE ' AND (created_at, id) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY created_at ASC, id ASC'
         ELSE ' ORDER BY created_at DESC, id DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION delivery_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM delivery WHERE tenant_id = $1', delivery_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION deliveries_by_id(p_tenant text, p_keys text[]) RETURNS SETOF delivery LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM delivery WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

-- The newest 100 of each event: one event's history must not crowd out the page's other events.
CREATE OR REPLACE FUNCTION deliveries_of_events(p_tenant text, p_keys text[]) RETURNS SETOF delivery LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT row.* FROM unnest(p_keys) AS given (key)
    CROSS JOIN LATERAL (
      SELECT d.* FROM run r JOIN delivery d ON d.tenant_id = r.tenant_id AND d.run_id = r.id
      WHERE r.tenant_id = p_tenant AND r.event_id = given.key ORDER BY d.created_at DESC, d.id DESC LIMIT 100) AS row;
END $$;

CREATE OR REPLACE FUNCTION deliveries_of_runs(p_tenant text, p_keys text[]) RETURNS SETOF delivery LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM delivery WHERE tenant_id = p_tenant AND run_id = ANY (p_keys) ORDER BY created_at, id;
END $$;

CREATE OR REPLACE FUNCTION attempts_of_deliveries(p_tenant text, p_keys text[]) RETURNS SETOF attempt LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM attempt WHERE tenant_id = p_tenant AND delivery_id = ANY (p_keys) ORDER BY number;
END $$;
