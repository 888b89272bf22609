-- What job.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

-- The run that a job asked for: the first generation that decided, else the last one; null in the columns of the run while there is none. No row: no such
-- job is recorded.
CREATE OR REPLACE FUNCTION job_of_event(p_tenant text, p_event text)
RETURNS TABLE (
  flow text, customer text, state text, decision json, default_reason text, error_code text, error_message text, decide_by timestamptz, finished_at timestamptz
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT event.request->>'flow', event.customer::text, run.state, run.decision, run.default_reason, run.error_code, run.error_message, run.decide_by,
      run.finished_at
    FROM event LEFT JOIN run ON run.tenant_id = event.tenant_id AND run.event_id = event.id AND run.flow = event.request->>'flow'
    WHERE event.tenant_id = p_tenant AND event.id = p_event AND event.request IS NOT NULL
    ORDER BY run.state = 'completed' DESC, CASE WHEN run.state = 'completed' THEN run.generation ELSE -run.generation END
    LIMIT 1;
END $$;
