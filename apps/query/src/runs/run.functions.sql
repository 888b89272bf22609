-- What run.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

CREATE OR REPLACE FUNCTION run_conditions(p_filter jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT concat(
    CASE WHEN p_filter ? 'customer' THEN $c$ AND customer = ($2->>'customer')$c$ END,
    CASE WHEN p_filter ? 'flow' THEN $c$ AND flow = ($2->>'flow')$c$ END,
    CASE WHEN p_filter ? 'state' THEN $c$ AND state = ($2->>'state')$c$ END
  )
$$;

CREATE OR REPLACE FUNCTION run_page(p_tenant text, p_filter jsonb, p_key text, p_id text, p_backward boolean, p_limit integer)
RETURNS SETOF run LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM run WHERE tenant_id = $1', run_conditions(p_filter),
    CASE WHEN p_key IS NULL THEN ''
         WHEN p_backward THEN ' AND (started_at, id) > ($3::timestamptz, $4)'
         ELSE ' AND (started_at, id) < ($3::timestamptz, $4)' END,
    CASE WHEN p_backward THEN ' ORDER BY started_at ASC, id ASC'
         ELSE ' ORDER BY started_at DESC, id DESC' END,
    ' LIMIT $5')
  USING p_tenant, p_filter, p_key, p_id, p_limit;
END $$;

CREATE OR REPLACE FUNCTION run_count(p_tenant text, p_filter jsonb, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM run WHERE tenant_id = $1', run_conditions(p_filter), ' LIMIT $3) AS bounded')
  INTO found USING p_tenant, p_filter, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION runs_by_id(p_tenant text, p_keys text[]) RETURNS SETOF run LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT * FROM run WHERE tenant_id = p_tenant AND id = ANY (p_keys);
END $$;

-- The newest 100 of each event: one event's history must not crowd out the page's other events.
CREATE OR REPLACE FUNCTION runs_of_events(p_tenant text, p_keys text[]) RETURNS SETOF run LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT row.* FROM unnest(p_keys) AS given (key)
    CROSS JOIN LATERAL (SELECT * FROM run WHERE tenant_id = p_tenant AND event_id = given.key ORDER BY started_at DESC, id DESC LIMIT 100) AS row;
END $$;

-- In which order the steps of runs ended. It decides where results have the same millisecond, which is as exact as their times are. The results of
-- earlier releases have no number: there it is the place of the step in the version of its flow, because a step needs only steps above it.
CREATE OR REPLACE FUNCTION step_places(p_tenant text, p_runs text[]) RETURNS TABLE (run_id text, step text, place bigint) LANGUAGE sql STABLE AS $$
  WITH subject AS (SELECT r.id, r.flow, r.flow_version FROM run r WHERE r.tenant_id = p_tenant AND r.id = ANY (p_runs)),
  place AS (
    SELECT used.flow, used.flow_version, step.value->>'id' AS step, step.place
    FROM (SELECT DISTINCT flow, flow_version FROM subject) AS used
    JOIN document d ON d.tenant_id = p_tenant AND d.kind = 'Flow' AND d.name = used.flow AND d.version = used.flow_version
    CROSS JOIN LATERAL json_array_elements(d.spec->'steps') WITH ORDINALITY AS step (value, place)
    WHERE EXISTS (
      SELECT FROM step_result s JOIN subject ON subject.id = s.run_id
      WHERE s.tenant_id = p_tenant AND s.ordinal IS NULL AND subject.flow = used.flow AND subject.flow_version = used.flow_version))
  SELECT s.run_id::text, s.step::text, coalesce(s.ordinal, place.place) FROM subject
  JOIN step_result s ON s.tenant_id = p_tenant AND s.run_id = subject.id
  LEFT JOIN place ON place.flow = subject.flow AND place.flow_version = subject.flow_version AND place.step = s.step
$$;

-- The first 1000 of each run: a step for each of a thousand items is as many results.
CREATE OR REPLACE FUNCTION steps_of_runs(p_tenant text, p_keys text[]) RETURNS SETOF step_result LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT s.* FROM (
      SELECT run_id, step, row_number() OVER (PARTITION BY run_id ORDER BY r.finished_at, p.place, step) AS nth
      FROM step_result r LEFT JOIN step_places(p_tenant, p_keys) AS p USING (run_id, step)
      WHERE r.tenant_id = p_tenant AND run_id = ANY (p_keys)) AS numbered
    JOIN step_result s ON s.tenant_id = p_tenant AND s.run_id = numbered.run_id AND s.step = numbered.step
    WHERE nth <= 1000 ORDER BY numbered.run_id, nth;
END $$;

CREATE OR REPLACE FUNCTION model_attempts_of_runs(p_tenant text, p_keys text[]) RETURNS SETOF model_attempt LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT m.* FROM model_attempt m LEFT JOIN step_places(p_tenant, p_keys) AS p ON p.run_id = m.run_id AND p.step = m.step
    WHERE m.tenant_id = p_tenant AND m.run_id = ANY (p_keys) ORDER BY m.started_at, p.place, m.step, m.number;
END $$;

CREATE OR REPLACE FUNCTION waits_of_runs(p_tenant text, p_keys text[]) RETURNS SETOF run_wait LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY SELECT w.* FROM run_wait w WHERE w.tenant_id = p_tenant AND w.run_id = ANY (p_keys) ORDER BY w.began_at, w.step;
END $$;

-- The reason for which a run that nobody works on cannot go on: the one that its last claim ended with.
CREATE OR REPLACE FUNCTION delays_of_runs(p_tenant text, p_keys text[]) RETURNS SETOF run_delay LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT d.* FROM run r JOIN run_delay d ON d.tenant_id = r.tenant_id AND d.run_id = r.id AND d.fence = r.fence
    WHERE r.tenant_id = p_tenant AND r.id = ANY (p_keys) AND r.state = 'running';
END $$;

CREATE OR REPLACE FUNCTION operation_attempts_of_runs(p_tenant text, p_keys text[]) RETURNS SETOF operation_attempt LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT * FROM operation_attempt WHERE tenant_id = p_tenant AND run_id = ANY (p_keys) ORDER BY started_at, step, fence;
END $$;
