-- What cost-estimate.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

-- The latest 1 000 events that the filter finds, the runs of a flow on them, and what the calls of these runs cost. Only the event's own runs count.
CREATE OR REPLACE FUNCTION cost_basis_of_runs(p_tenant text, p_filter jsonb, p_flow text)
RETURNS TABLE (events integer, runs integer, costs json, unpriced integer) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    $q$WITH sample AS (SELECT id FROM event WHERE tenant_id = $1$q$, event_conditions(p_filter), $q$ ORDER BY received_at DESC, id DESC LIMIT 1000),
    ran AS (SELECT run.id FROM sample JOIN run ON run.tenant_id = $1 AND run.event_id = sample.id AND run.flow = $3 AND run.generation = 0
      WHERE run.state IN ('completed', 'failed')),
    call AS (SELECT currency, cost_nanos FROM ran JOIN model_attempt ON model_attempt.tenant_id = $1 AND model_attempt.run_id = ran.id
      WHERE model_attempt.outcome <> 'passedOver')
    SELECT (SELECT count(*) FROM sample)::integer, (SELECT count(*) FROM ran)::integer,
      (SELECT coalesce(json_object_agg(currency, nanos), '{}') FROM (
        SELECT currency, sum(cost_nanos)::bigint AS nanos FROM call WHERE currency IS NOT NULL GROUP BY currency) AS sums),
      (SELECT count(*) FROM call WHERE currency IS NULL)::integer$q$)
  USING p_tenant, p_filter, p_flow;
END $$;
