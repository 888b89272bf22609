-- The events that a backtest takes, the latest first: the same conditions as the lists of apps/query, so a filter means the same everywhere.
CREATE OR REPLACE FUNCTION trial_events(p_tenant text, p_filter jsonb, p_until timestamptz, p_at text, p_id text, p_limit integer)
RETURNS TABLE (at timestamptz, id text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    $q$SELECT received_at AS at, id::text FROM event WHERE tenant_id = $1 AND received_at <= $3$q$, event_conditions(p_filter),
    CASE WHEN p_at IS NULL THEN '' ELSE ' AND (received_at, id) < ($4::timestamptz, $5)' END,
    ' ORDER BY received_at DESC, id DESC LIMIT $6')
  USING p_tenant, p_filter, p_until, p_at, p_id, p_limit;
END $$;

-- The outcomes that a promotion makes generations of, and what its dry run counts. The events are in the order in which they were received: of one customer
-- the older comes first. The filter is {trial, onlyChanged}.
CREATE OR REPLACE FUNCTION promotion_of_outcomes_items(
  p_tenant text, p_filter jsonb, p_until timestamptz, p_at text, p_place bigint, p_key text, p_limit integer
)
RETURNS TABLE (at timestamptz, place bigint, key text, subject text, flow text, customer text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT e.received_at, e.log_offset, e.id::text, e.id::text, NULL::text, e.customer::text
    FROM trial_outcome o JOIN event e ON e.tenant_id = o.tenant_id AND e.id = o.event_id
    WHERE o.tenant_id = p_tenant AND o.trial_id = p_filter->>'trial' AND (o.obstacle IS NULL OR o.obstacle = 'waits') AND o.promoted_run_id IS NULL AND o.at <= p_until
      AND (NOT (p_filter->>'onlyChanged')::boolean OR o.change <> 'same')
      AND (p_at IS NULL OR (e.received_at, e.log_offset, e.id) > (p_at::timestamptz, p_place, p_key))
    ORDER BY e.received_at, e.log_offset, e.id LIMIT p_limit;
END $$;

CREATE OR REPLACE FUNCTION promotion_of_outcomes_count(p_tenant text, p_filter jsonb, p_until timestamptz, p_limit integer) RETURNS integer LANGUAGE sql AS $$
  SELECT count(*)::integer FROM promotion_of_outcomes_items(p_tenant, p_filter, p_until, NULL, NULL, NULL, p_limit)
$$;
