-- What review.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

-- How far a review got at this moment: a claim ends by itself, and what nobody decided in time is over before anything has noted it.
CREATE OR REPLACE FUNCTION review_state(p_state text, p_claimed_until timestamptz, p_expires_at timestamptz) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT CASE
    WHEN p_state <> 'open' THEN p_state
    WHEN p_expires_at <= clock_timestamp() THEN 'expired'
    WHEN p_claimed_until > clock_timestamp() THEN 'claimed'
    ELSE 'pending' END
$$;

CREATE OR REPLACE FUNCTION review_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'states' THEN $c$ AND review_state(state, claimed_until, expires_at) = ANY (ARRAY(SELECT jsonb_array_elements_text($2->'states')))$c$ END,
    CASE WHEN p_filter ? 'flow' THEN $c$ AND flow = ($2->>'flow')$c$ END,
    CASE WHEN p_filter ? 'customer' THEN $c$ AND customer = ($2->>'customer')$c$ END,
    CASE WHEN p_filter ? 'escalated' THEN $c$ AND (escalated_at IS NOT NULL) = ($2->>'escalated')::boolean$c$ END,
    CASE WHEN p_filter ? 'priorityFrom' THEN $c$ AND priority >= ($2->>'priorityFrom')::integer$c$ END,
    CASE WHEN p_filter ? 'askedBefore' THEN $c$ AND asked_at < ($2->>'askedBefore')::timestamptz$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION review_queue_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF review LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    $q$SELECT * FROM review WHERE tenant_id = $1 AND state = 'open' AND expires_at > clock_timestamp()$q$, review_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (place, id) < ($3::text, $4)'
         ELSE ' AND (place, id) > ($3::text, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY place DESC, id DESC'
         ELSE ' ORDER BY place ASC, id ASC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION review_queue_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat($q$SELECT count(*) FROM (SELECT FROM review WHERE tenant_id = $1 AND state = 'open' AND expires_at > clock_timestamp()$q$,
    review_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION review_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF review LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM review WHERE tenant_id = $1', review_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (asked_at, id) > ($3::timestamptz, $4)'
         ELSE ' AND (asked_at, id) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY asked_at ASC, id ASC'
         ELSE ' ORDER BY asked_at DESC, id DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION review_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM review WHERE tenant_id = $1', review_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION reviews_by_id(p_tenant text, p_keys text[]) RETURNS SETOF review LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM review WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

-- The first 100 of each run.
CREATE OR REPLACE FUNCTION reviews_of_runs(p_tenant text, p_keys text[]) RETURNS SETOF review LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT row.* FROM unnest(p_keys) AS given (key)
    CROSS JOIN LATERAL (SELECT * FROM review WHERE tenant_id = p_tenant AND run_id = given.key ORDER BY asked_at, id LIMIT 100) AS row;
END $$;

-- The reviews of the runs of each event, the first 100.
CREATE OR REPLACE FUNCTION reviews_of_events(p_tenant text, p_keys text[]) RETURNS SETOF review LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT row.* FROM unnest(p_keys) AS given (key)
    CROSS JOIN LATERAL (
      SELECT v.* FROM run r JOIN review v ON v.tenant_id = r.tenant_id AND v.run_id = r.id
      WHERE r.tenant_id = p_tenant AND r.event_id = given.key ORDER BY v.asked_at, v.id LIMIT 100) AS row;
END $$;

-- The reviews that changed at this time or later, the first 1000: for those who follow the queue and may have missed a notice.
CREATE OR REPLACE FUNCTION reviews_changed_since(p_tenant text, p_since timestamptz) RETURNS SETOF review LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM review WHERE tenant_id = p_tenant AND changed_at >= p_since ORDER BY changed_at LIMIT 1000;
END $$;
