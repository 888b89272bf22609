-- What customer.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

CREATE OR REPLACE FUNCTION customer_by_last_event_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'keyPrefix' THEN $c$ AND customer COLLATE "C" >= ($2->>'keyPrefix') AND customer COLLATE "C" < ($2->>'keyPrefix') || chr(1114111)$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION customer_by_last_event_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF customer LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM customer WHERE tenant_id = $1', customer_by_last_event_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (last_event_at, customer) > ($3::timestamptz, $4)'
         ELSE ' AND (last_event_at, customer) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY last_event_at ASC, customer ASC'
         ELSE ' ORDER BY last_event_at DESC, customer DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION customer_by_last_event_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM customer WHERE tenant_id = $1', customer_by_last_event_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION customer_by_key_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'keyPrefix' THEN $c$ AND customer COLLATE "C" >= ($2->>'keyPrefix') AND customer COLLATE "C" < ($2->>'keyPrefix') || chr(1114111)$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION customer_by_key_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF customer LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM customer WHERE tenant_id = $1', customer_by_key_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (customer, customer) < ($3::text, $4)'
         ELSE ' AND (customer, customer) > ($3::text, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY customer DESC, customer DESC'
         ELSE ' ORDER BY customer ASC, customer ASC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION customer_by_key_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM customer WHERE tenant_id = $1', customer_by_key_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION customers_by_key(p_tenant text, p_keys text[]) RETURNS SETOF customer LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM customer WHERE tenant_id = p_tenant AND customer = ANY (p_keys);
END $$;
