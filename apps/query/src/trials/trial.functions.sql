-- What trial.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

CREATE OR REPLACE FUNCTION trial_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'kind' THEN $c$ AND kind = ($2->>'kind')$c$ END,
    CASE WHEN p_filter ? 'flow' THEN $c$ AND flow = ($2->>'flow')$c$ END,
    CASE WHEN p_filter ? 'state' THEN $c$ AND state = ($2->>'state')$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION trial_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF trial LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM trial WHERE tenant_id = $1', trial_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (asked_at, id) > ($3::timestamptz, $4)'
         ELSE ' AND (asked_at, id) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY asked_at ASC, id ASC'
         ELSE ' ORDER BY asked_at DESC, id DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION trial_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM trial WHERE tenant_id = $1', trial_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION trials_by_id(p_tenant text, p_keys text[]) RETURNS SETOF trial LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM trial WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

CREATE OR REPLACE FUNCTION trial_outcome_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    $c$ AND trial_id = ($2->>'trial')$c$,
    CASE WHEN p_filter ? 'changes' THEN $c$ AND change = ANY (ARRAY(SELECT jsonb_array_elements_text($2->'changes')))$c$ END,
    CASE WHEN p_filter ? 'event' THEN $c$ AND event_id = ($2->>'event')$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION trial_outcome_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF trial_outcome LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM trial_outcome WHERE tenant_id = $1', trial_outcome_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (ordinal, event_id) < ($3::integer, $4)'
         ELSE ' AND (ordinal, event_id) > ($3::integer, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY ordinal DESC, event_id DESC'
         ELSE ' ORDER BY ordinal ASC, event_id ASC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION trial_outcome_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM trial_outcome WHERE tenant_id = $1', trial_outcome_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

-- A key is the id of a trial and that of an event with a space between them.
CREATE OR REPLACE FUNCTION steps_of_trial_outcomes(p_tenant text, p_keys text[]) RETURNS TABLE (key text, steps json) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT given.key, o.steps FROM unnest(p_keys) AS given (key)
    JOIN trial_outcome o ON o.tenant_id = p_tenant AND o.trial_id = split_part(given.key, ' ', 1) AND o.event_id = split_part(given.key, ' ', 2);
END $$;

CREATE OR REPLACE FUNCTION trial_summaries(p_tenant text, p_keys text[])
RETURNS TABLE (trial_id text, events integer, same integer, different integer, fresh integer, not_run integer, failed integer, recovered integer,
  promotable integer, median double precision, base_median double precision, costs json, base_costs json, stored_reviews integer, expired_reviews integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT o.trial_id::text, count(*)::integer, (count(*) FILTER (WHERE change = 'same'))::integer, (count(*) FILTER (WHERE change = 'different'))::integer,
      (count(*) FILTER (WHERE change = 'new'))::integer, (count(*) FILTER (WHERE change = 'notRun'))::integer,
      (count(*) FILTER (WHERE change = 'failed'))::integer, (count(*) FILTER (WHERE change = 'recovered'))::integer,
      (count(*) FILTER (WHERE obstacle IS NULL OR obstacle = 'waits'))::integer, percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms),
      percentile_cont(0.5) WITHIN GROUP (ORDER BY base_duration_ms),
      (SELECT coalesce(json_object_agg(currency, nanos), '{}') FROM (
        SELECT cost.key AS currency, sum(cost.value::bigint)::bigint AS nanos FROM trial_outcome one, json_each_text(one.costs) AS cost
        WHERE one.tenant_id = p_tenant AND one.trial_id = o.trial_id GROUP BY cost.key) AS sums),
      (SELECT coalesce(json_object_agg(currency, nanos), '{}') FROM (
        SELECT cost.key AS currency, sum(cost.value::bigint)::bigint AS nanos FROM trial_outcome one, json_each_text(one.base_costs) AS cost
        WHERE one.tenant_id = p_tenant AND one.trial_id = o.trial_id GROUP BY cost.key) AS sums),
      sum(stored_reviews)::integer, sum(expired_reviews)::integer
    FROM trial_outcome o WHERE o.tenant_id = p_tenant AND o.trial_id = ANY (p_keys) GROUP BY o.trial_id;
END $$;

-- The decisions of people that the outcomes have which a promotion makes generations of: promotion_of_outcomes_items says which these are. Of an outcome that
-- waits, only the steps before are of its generation.
CREATE OR REPLACE FUNCTION stored_reviews_of_promotion(p_tenant text, p_filter jsonb) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  SELECT count(*)::integer INTO found
  FROM promotion_of_outcomes_items(p_tenant, p_filter, 'infinity', NULL, NULL, NULL, NULL) AS item
  JOIN trial_outcome o ON o.tenant_id = p_tenant AND o.trial_id = p_filter->>'trial' AND o.event_id = item.key AND o.stored_reviews > 0
  CROSS JOIN LATERAL json_array_elements(o.steps) AS step
  WHERE step->>'reviewId' IS NOT NULL AND (o.obstacle IS NULL OR step->>'beforeWait' = 'true');
  RETURN found;
END $$;
