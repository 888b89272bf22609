-- What request.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

CREATE OR REPLACE FUNCTION request_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'source' THEN $c$ AND source = ($2->>'source')$c$ END,
    CASE WHEN p_filter ? 'outcome' THEN $c$ AND outcome = ($2->>'outcome')$c$ END,
    CASE WHEN p_filter ? 'code' THEN $c$ AND code = ($2->>'code')$c$ END,
    CASE WHEN p_filter ? 'taken' THEN $c$ AND (taken_at IS NOT NULL) = ($2->>'taken')::boolean$c$ END,
    CASE WHEN p_filter ? 'receivedFrom' THEN $c$ AND received_at >= ($2->>'receivedFrom')::timestamptz$c$ END,
    CASE WHEN p_filter ? 'receivedBefore' THEN $c$ AND received_at < ($2->>'receivedBefore')::timestamptz$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION request_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF request LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM request WHERE tenant_id = $1', request_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (received_at, id) > ($3::timestamptz, $4)'
         ELSE ' AND (received_at, id) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY received_at ASC, id ASC'
         ELSE ' ORDER BY received_at DESC, id DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION request_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM request WHERE tenant_id = $1', request_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION requests_by_id(p_tenant text, p_keys text[]) RETURNS SETOF request LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM request WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

-- The newest 20 of each event.
CREATE OR REPLACE FUNCTION requests_of_events(p_tenant text, p_keys text[]) RETURNS TABLE (event_id text, request_id text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT given.key, brought.request_id FROM unnest(p_keys) AS given (key)
    CROSS JOIN LATERAL (
      SELECT request_id::text FROM request_event WHERE tenant_id = p_tenant AND event_id = given.key ORDER BY request_id DESC LIMIT 20) AS brought;
END $$;

CREATE OR REPLACE FUNCTION events_of_requests(p_tenant text, p_keys text[]) RETURNS TABLE (request_id text, event_id text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT given.key, brought.event_id FROM unnest(p_keys) AS given (key)
    CROSS JOIN LATERAL (
      SELECT event_id::text FROM request_event WHERE tenant_id = p_tenant AND request_id = given.key ORDER BY place LIMIT 100) AS brought;
END $$;
