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
