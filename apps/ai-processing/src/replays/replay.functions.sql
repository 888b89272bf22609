-- What a bulk replay replays, and what its dry run counts: the same conditions as the lists of apps/query, so a filter means the same everywhere.
--
-- `at`, `place`, `key` order the items as the things themselves came, whatever order they were parked in: of one customer the older comes first.
-- `_items` returns those after a position, `_count` counts up to a limit. $1 is the tenant, $2 the filter, $3 when the operation started.

-- What a bulk replay of events replays. With one flow: of requests those that event_conditions leaves; of the others those of its sources and types, whose
-- patterns have stars, and those that it has run on before. Its condition `when` is asked by the worker.
CREATE OR REPLACE FUNCTION replays_of_events(p_filter jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN concat(
    $q$SELECT received_at AS at, log_offset AS place, id::text AS key, id::text AS subject, NULL::text AS flow, customer::text
      FROM event WHERE tenant_id = $1 AND received_at <= $3$q$, event_conditions(p_filter),
    CASE WHEN p_filter ? 'takes' THEN concat(
      $c$ AND (request IS NOT NULL OR (type COLLATE "C" LIKE ANY (ARRAY(
        SELECT replace(replace(replace(replace(pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')
        FROM jsonb_array_elements_text($2->'takes'->'types') AS pattern))$c$,
      CASE WHEN p_filter->'takes' ? 'sources' THEN $c$ AND source = ANY (ARRAY(SELECT jsonb_array_elements_text($2->'takes'->'sources')))$c$ END,
      $c$) OR EXISTS (SELECT FROM run WHERE run.tenant_id = $1 AND run.event_id = event.id AND run.flow = ($2->>'runnableBy')))$c$) END);
END $$;

CREATE OR REPLACE FUNCTION replay_of_events_items(
  p_tenant text, p_filter jsonb, p_until timestamptz, p_at text, p_place bigint, p_key text, p_limit integer
)
RETURNS TABLE (at timestamptz, place bigint, key text, subject text, flow text, customer text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM (', replays_of_events(p_filter), ') AS item',
    CASE WHEN p_at IS NULL THEN '' ELSE ' WHERE (at, place, key) > ($4::timestamptz, $5, $6)' END,
    ' ORDER BY at, place, key LIMIT $7')
  USING p_tenant, p_filter, p_until, p_at, p_place, p_key, p_limit;
END $$;

CREATE OR REPLACE FUNCTION replay_of_events_count(p_tenant text, p_filter jsonb, p_until timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM (', replays_of_events(p_filter), ') AS item LIMIT $4) AS bounded')
  INTO found USING p_tenant, p_filter, p_until, p_limit;
  RETURN found;
END $$;

-- The run that takes the place of one that was given up: the last later generation of its flow on its event that nobody cancelled. NULL: there is none, so
-- a retry may make the next generation. This is the one rule of retries: for a single one, for bulk operations, and for what the API refuses.
CREATE OR REPLACE FUNCTION run_in_place_of(p_tenant text, p_event text, p_flow text, p_generation integer) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT id FROM run
  WHERE tenant_id = p_tenant AND event_id = p_event AND flow = p_flow AND generation > p_generation
    AND NOT (state = 'failed' AND error_code IS NOT DISTINCT FROM 'run.cancelled')
  ORDER BY generation DESC LIMIT 1
$$;

-- What a bulk replay of dead letters retries: the open ones whose run nothing has taken the place of, so one at most per event and flow.
CREATE OR REPLACE FUNCTION retries_of_dead_letters(p_filter jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN concat(
    $q$SELECT event.received_at AS at, event.log_offset AS place, event.id || '/' || run.flow AS key, event.id::text AS subject,
        run.flow::text AS flow, event.customer::text, letter.id::text AS dead_letter
      FROM (SELECT id, run_id FROM dead_letter_summary WHERE tenant_id = $1 AND kind = 'run' AND resolved_at IS NULL AND created_at <= $3$q$, dead_letter_conditions(p_filter), $q$) AS letter
      JOIN run ON run.tenant_id = $1 AND run.id = letter.run_id
      JOIN event ON event.tenant_id = $1 AND event.id = run.event_id
      WHERE run_in_place_of($1, run.event_id, run.flow, run.generation) IS NULL$q$);
END $$;

CREATE OR REPLACE FUNCTION retries_of_dead_letters_items(
  p_tenant text, p_filter jsonb, p_until timestamptz, p_at text, p_place bigint, p_key text, p_limit integer
)
RETURNS TABLE (at timestamptz, place bigint, key text, subject text, flow text, customer text, dead_letter text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    'SELECT * FROM (', retries_of_dead_letters(p_filter), ') AS item',
    CASE WHEN p_at IS NULL THEN '' ELSE ' WHERE (at, place, key) > ($4::timestamptz, $5, $6)' END,
    ' ORDER BY at, place, key LIMIT $7')
  USING p_tenant, p_filter, p_until, p_at, p_place, p_key, p_limit;
END $$;

-- Called by builds until 2026-11-30.
CREATE OR REPLACE FUNCTION replay_of_dead_letters_items(
  p_tenant text, p_filter jsonb, p_until timestamptz, p_at text, p_place bigint, p_key text, p_limit integer
)
RETURNS TABLE (at timestamptz, place bigint, key text, subject text, flow text, customer text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT item.at, item.place, item.key, item.subject, item.flow, item.customer
    FROM retries_of_dead_letters_items(p_tenant, p_filter, p_until, p_at, p_place, p_key, p_limit) AS item;
END $$;

CREATE OR REPLACE FUNCTION replay_of_dead_letters_count(p_tenant text, p_filter jsonb, p_until timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat('SELECT count(*) FROM (SELECT FROM (', retries_of_dead_letters(p_filter), ') AS item LIMIT $4) AS bounded')
  INTO found USING p_tenant, p_filter, p_until, p_limit;
  RETURN found;
END $$;
