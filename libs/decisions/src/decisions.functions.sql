-- Stores the default decision of the run that a caller waits for, unless its end is stored already. Returns the run as it is stored then, so whoever asks
-- learns which decision counts. A run that has no deadline, or a later one, stays as it is: the request that made it decides that, not one that repeats it.
-- A process that is at work on the run loses its claim. The deliveries are stored with the run; the process that handles the record of the event announces
-- them or, if the run waited, the one that handles the end of its wait, which is due by then. Reviews that the run has asked for are withdrawn with its
-- end.
CREATE OR REPLACE FUNCTION settle_decision(
  p_tenant text, p_run text, p_event text, p_customer text, p_flow text, p_flow_version integer, p_trace text, p_decide_by timestamptz,
  p_decision json, p_deliveries json, p_reason text
)
RETURNS SETOF run LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, trace_id, state, finished_at, decide_by, decision, deliveries,
      default_reason)
    VALUES (p_tenant, p_run, p_event, p_customer, p_flow, p_flow_version, 0, p_trace, 'completed', clock_timestamp(), p_decide_by, p_decision,
      p_deliveries, p_reason)
    ON CONFLICT (tenant_id, event_id, flow, generation) DO UPDATE
    SET state = 'completed', fence = run.fence + 1, lease_until = NULL, unanswered = 0, finished_at = clock_timestamp(),
      decision = EXCLUDED.decision, deliveries = EXCLUDED.deliveries,
      default_reason = EXCLUDED.default_reason
    WHERE run.state IN ('running', 'waiting') AND run.decide_by <= EXCLUDED.decide_by
    RETURNING *;
  IF NOT FOUND THEN
    RETURN QUERY SELECT * FROM run WHERE tenant_id = p_tenant AND event_id = p_event AND flow = p_flow AND generation = 0;
    RETURN;
  END IF;
  PERFORM withdraw_reviews(ARRAY[tenant_id::text], ARRAY[id::text]) FROM run
  WHERE tenant_id = p_tenant AND event_id = p_event AND flow = p_flow AND generation = 0;
END $$;

-- Withdraws the open reviews of runs that end in this transaction, or have ended, and tells those who follow the queue. Returns how many. The arrays name the
-- runs, element by element. A review that a person decides at this moment is left to the clock of reviews, so that no run waits for that person.
CREATE OR REPLACE FUNCTION withdraw_reviews(p_tenants text[], p_runs text[]) RETURNS integer LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  withdrawn integer;
BEGIN
  WITH asked AS (
    SELECT review.tenant_id, review.id FROM unnest(p_tenants, p_runs) AS ended (tenant, run)
    JOIN review ON review.tenant_id = ended.tenant AND review.run_id = ended.run
    WHERE review.state = 'open'
    FOR UPDATE OF review SKIP LOCKED),
  gone AS (
    UPDATE review SET state = 'withdrawn', ended_at = clock_timestamp(), change = 'withdrawn', changed_at = clock_timestamp()
    FROM asked WHERE review.tenant_id = asked.tenant_id AND review.id = asked.id
    RETURNING review.tenant_id, review.id, review.change, review.changed_at)
  SELECT count(pg_notify('millrace_reviews', concat_ws('/', tenant_id, id, change, (extract(epoch FROM changed_at) * 1000)::bigint)))::integer
  INTO withdrawn FROM gone;
  RETURN withdrawn;
END $$;
