-- What dead-letter.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

CREATE OR REPLACE FUNCTION dead_letter_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'customer' THEN $c$ AND customer = ($2->>'customer')$c$ END,
    CASE WHEN p_filter ? 'kind' THEN $c$ AND kind = ($2->>'kind')$c$ END,
    CASE WHEN p_filter ? 'code' THEN $c$ AND code = ($2->>'code')$c$ END,
    CASE WHEN p_filter ? 'open' THEN $c$ AND resolved_at IS NULL$c$ END,
    CASE WHEN p_filter ? 'resolved' THEN $c$ AND resolved_at IS NOT NULL$c$ END,
    CASE WHEN p_filter ? 'flow' THEN $c$ AND EXISTS (SELECT FROM run WHERE run.tenant_id = $1 AND run.id = run_id AND run.flow = ($2->>'flow'))$c$ END,
    CASE WHEN p_filter ? 'destination' THEN $c$ AND EXISTS (SELECT FROM delivery WHERE delivery.tenant_id = $1 AND delivery.id = delivery_id AND delivery.destination = ($2->>'destination'))$c$ END,
    CASE WHEN p_filter ? 'createdFrom' THEN $c$ AND created_at >= ($2->>'createdFrom')::timestamptz$c$ END,
    CASE WHEN p_filter ? 'createdBefore' THEN $c$ AND created_at < ($2->>'createdBefore')::timestamptz$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION dead_letter_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF dead_letter_summary LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM dead_letter_summary WHERE tenant_id = $1', dead_letter_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (created_at, id) > ($3::timestamptz, $4)'
         ELSE ' AND (created_at, id) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY created_at ASC, id ASC'
         ELSE ' ORDER BY created_at DESC, id DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION dead_letter_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM dead_letter_summary WHERE tenant_id = $1', dead_letter_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION dead_letters_by_id(p_tenant text, p_keys text[]) RETURNS SETOF dead_letter_summary LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM dead_letter_summary WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

-- The newest 100 of each event: one event's history must not crowd out the page's other events.
CREATE OR REPLACE FUNCTION dead_letters_of_events(p_tenant text, p_keys text[]) RETURNS SETOF dead_letter_summary LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT row.* FROM unnest(p_keys) AS given (key)
    CROSS JOIN LATERAL (SELECT * FROM dead_letter_summary WHERE tenant_id = p_tenant AND event_id = given.key ORDER BY created_at DESC, id DESC LIMIT 100) AS row;
END $$;

-- Of a run that was given up: the run that took its place, by the rule of retries.
CREATE OR REPLACE FUNCTION retry_in_place_of(p_tenant text, p_event text, p_flow text, p_generation integer)
RETURNS TABLE (id text, state text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT run.id::text, run.state::text FROM run
    WHERE run.tenant_id = p_tenant AND run.id = run_in_place_of(p_tenant, p_event, p_flow, p_generation);
END $$;
