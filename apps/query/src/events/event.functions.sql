-- What event.table.ts reads.
-- Each function sets the tenant for row-level security and returns its rows in one round trip; a transaction around a plain query takes four.
-- Functions run with the caller's rights, so a caller sees no more through them than without them.
--
-- The statement of a page or count is put together from the filter's keys and planned for the values given, because one plan for all filters
-- would be wrong for most. Values only ever travel as parameters: $1 is the tenant, $2 the filter.

-- How far an event got. Of every flow the newest generation that nobody cancelled counts, because a cancel puts nothing right that failed before it; of cancelled ones
-- only what they deliver. A failed run whose dead letter was skipped leaves nothing to do. A run that planned more deliveries than there are rows is still
-- delivering: they are written a moment after it completes.
CREATE OR REPLACE FUNCTION event_state(p_tenant text, p_event text) RETURNS text LANGUAGE sql STABLE AS $$
  WITH run_of_event AS (
    SELECT r.id, r.flow, r.generation, r.state, r.state = 'failed' AND r.error_code IS NOT DISTINCT FROM 'run.cancelled' AS is_cancelled,
      CASE WHEN json_typeof(r.deliveries) = 'array' THEN json_array_length(r.deliveries) ELSE 0 END AS planned
    FROM run r WHERE r.tenant_id = p_tenant AND r.event_id = p_event),
  latest AS (
    SELECT * FROM (
      SELECT *, coalesce(max(generation) FILTER (WHERE NOT is_cancelled) OVER of_flow, max(generation) OVER of_flow) AS counted FROM run_of_event
      WINDOW of_flow AS (PARTITION BY flow)) AS ranked
    WHERE generation >= counted),
  sent AS (SELECT d.state FROM latest JOIN delivery d ON d.tenant_id = p_tenant AND d.run_id = latest.id),
  letter AS (SELECT x.kind, x.run_id, x.resolved_at, x.resolution FROM dead_letter x WHERE x.tenant_id = p_tenant AND x.event_id = p_event)
  SELECT CASE
    WHEN EXISTS (SELECT FROM latest WHERE state = 'failed' AND NOT is_cancelled
        AND NOT EXISTS (SELECT FROM letter WHERE letter.kind = 'run' AND letter.run_id = latest.id AND letter.resolution = 'skipped'))
      OR EXISTS (SELECT FROM sent WHERE state = 'parked') OR EXISTS (SELECT FROM letter WHERE kind = 'record' AND resolved_at IS NULL)
      THEN 'parked'
    WHEN EXISTS (SELECT FROM latest WHERE state IN ('running', 'waiting')) THEN 'running'
    WHEN EXISTS (SELECT FROM sent WHERE state = 'pending') OR (SELECT sum(planned) FROM latest) > (SELECT count(*) FROM sent) THEN 'delivering'
    WHEN EXISTS (SELECT FROM latest) THEN 'completed'
    ELSE 'recorded' END
$$;

CREATE OR REPLACE FUNCTION event_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'customer' THEN $c$ AND customer = ($2->>'customer')$c$ END,
    CASE WHEN p_filter ? 'sources' THEN $c$ AND source = ANY (ARRAY(SELECT jsonb_array_elements_text($2->'sources')))$c$ END,
    CASE WHEN p_filter ? 'type' THEN $c$ AND type COLLATE "C" = ($2->>'type')$c$ END,
    CASE WHEN p_filter ? 'typePrefix' THEN $c$ AND type COLLATE "C" >= ($2->>'typePrefix') AND type COLLATE "C" < ($2->>'typePrefix') || chr(1114111)$c$ END,
    CASE WHEN p_filter ? 'receivedFrom' THEN $c$ AND received_at >= ($2->>'receivedFrom')::timestamptz$c$ END,
    CASE WHEN p_filter ? 'receivedBefore' THEN $c$ AND received_at < ($2->>'receivedBefore')::timestamptz$c$ END,
    CASE WHEN p_filter ? 'runnableBy' THEN $c$ AND (request IS NULL OR request->>'flow' = ($2->>'runnableBy'))$c$ END,
    CASE WHEN p_filter ? 'states' THEN $c$ AND event_state(tenant_id, id) = ANY (ARRAY(SELECT jsonb_array_elements_text($2->'states')))$c$ END,
    -- Set beside `states` where they are all rare: few candidates are looked at instead of every event in turn.
    CASE WHEN p_filter ? 'unsettled' THEN $c$ AND id IN (
      SELECT event_id FROM run WHERE tenant_id = $1 AND state <> 'completed'
      UNION SELECT event_id FROM delivery WHERE tenant_id = $1 AND state <> 'delivered'
      UNION SELECT event_id FROM dead_letter WHERE tenant_id = $1 AND resolved_at IS NULL)$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION event_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF event_summary LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM event_summary WHERE tenant_id = $1', event_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (received_at, id) > ($3::timestamptz, $4)'
         ELSE ' AND (received_at, id) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY received_at ASC, id ASC'
         ELSE ' ORDER BY received_at DESC, id DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION event_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM event WHERE tenant_id = $1', event_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION events_by_id(p_tenant text, p_keys text[]) RETURNS SETOF event_summary LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM event_summary WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

CREATE OR REPLACE FUNCTION event_bodies(p_tenant text, p_keys text[])
RETURNS TABLE (
  id text, content_type text, body bytea
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT id::text, content_type, body FROM event WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

CREATE OR REPLACE FUNCTION event_states(p_tenant text, p_keys text[]) RETURNS TABLE (id text, state text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT key, event_state(p_tenant, key) FROM unnest(p_keys) AS given (key);
END $$;

-- What is known of events beside their summaries.
CREATE OR REPLACE FUNCTION event_marks(p_tenant text, p_keys text[]) RETURNS TABLE (id text, is_test boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT id::text, coalesce(is_test, false) FROM event WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

-- The events of requests, and the only flow that runs on each.
CREATE OR REPLACE FUNCTION event_requests(p_tenant text, p_keys text[]) RETURNS TABLE (id text, flow text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT id::text, request->>'flow' FROM event WHERE tenant_id = p_tenant AND id = ANY (p_keys) AND request IS NOT NULL;
END $$;

-- The events whose data does not fit the schema of their source, and why.
CREATE OR REPLACE FUNCTION event_schema_problems(p_tenant text, p_keys text[]) RETURNS TABLE (id text, problem text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT id::text, schema_problem FROM event WHERE tenant_id = p_tenant AND id = ANY (p_keys) AND schema_problem IS NOT NULL;
END $$;
