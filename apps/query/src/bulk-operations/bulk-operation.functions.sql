-- What bulk-operation.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

CREATE OR REPLACE FUNCTION bulk_operation_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'kind' THEN $c$ AND kind = ($2->>'kind')$c$ END,
    CASE WHEN p_filter ? 'state' THEN $c$ AND state = ($2->>'state')$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION bulk_operation_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF bulk_operation LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM bulk_operation WHERE tenant_id = $1', bulk_operation_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (started_at, id) > ($3::timestamptz, $4)'
         ELSE ' AND (started_at, id) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY started_at ASC, id ASC'
         ELSE ' ORDER BY started_at DESC, id DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION bulk_operation_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM bulk_operation WHERE tenant_id = $1', bulk_operation_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION bulk_operations_by_id(p_tenant text, p_keys text[]) RETURNS SETOF bulk_operation LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM bulk_operation WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;
