-- What a bulk redelivery redelivers, and what its dry run counts: the same conditions as the lists of apps/query, so a filter means the same
-- everywhere.
--
-- `at`, `place`, `key` order the items by when their deliveries were planned, not by when they were parked: of one customer, the oldest comes first.
-- `_items` returns those after a position, `_count` counts up to a limit. $1 is the tenant, $2 the filter, $3 when the operation started.

CREATE OR REPLACE FUNCTION redelivery_of_deliveries_items(
  p_tenant text, p_filter jsonb, p_until timestamptz, p_at text, p_place bigint, p_key text, p_limit integer
)
RETURNS TABLE (at timestamptz, place bigint, key text, subject text, flow text, customer text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    $q$SELECT * FROM (
      SELECT created_at AS at, position AS place, id::text AS key, id::text AS subject, NULL::text AS flow, customer::text
      FROM delivery WHERE tenant_id = $1 AND created_at <= $3$q$, delivery_conditions(p_filter), $q$) AS item$q$,
    CASE WHEN p_at IS NULL THEN '' ELSE ' WHERE (at, place, key) > ($4::timestamptz, $5, $6)' END,
    ' ORDER BY at, place, key LIMIT $7')
  USING p_tenant, p_filter, p_until, p_at, p_place, p_key, p_limit;
END $$;

CREATE OR REPLACE FUNCTION redelivery_of_deliveries_count(p_tenant text, p_filter jsonb, p_until timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat(
    $q$SELECT count(*) FROM (SELECT * FROM (
      SELECT created_at AS at, position AS place, id::text AS key, id::text AS subject, NULL::text AS flow, customer::text
      FROM delivery WHERE tenant_id = $1 AND created_at <= $3$q$, delivery_conditions(p_filter), $q$) AS item LIMIT $4) AS bounded$q$)
  INTO found USING p_tenant, p_filter, p_until, p_limit;
  RETURN found;
END $$;

CREATE OR REPLACE FUNCTION redelivery_of_dead_letters_items(
  p_tenant text, p_filter jsonb, p_until timestamptz, p_at text, p_place bigint, p_key text, p_limit integer
)
RETURNS TABLE (at timestamptz, place bigint, key text, subject text, flow text, customer text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    $q$SELECT * FROM (
      SELECT delivery.created_at AS at, delivery.position AS place, delivery.id::text AS key, delivery.id::text AS subject,
        NULL::text AS flow, delivery.customer::text
      FROM (SELECT delivery_id FROM dead_letter_summary WHERE tenant_id = $1 AND kind = 'delivery' AND resolved_at IS NULL AND created_at <= $3$q$, dead_letter_conditions(p_filter), $q$) AS letter
      JOIN delivery ON delivery.tenant_id = $1 AND delivery.id = letter.delivery_id) AS item$q$,
    CASE WHEN p_at IS NULL THEN '' ELSE ' WHERE (at, place, key) > ($4::timestamptz, $5, $6)' END,
    ' ORDER BY at, place, key LIMIT $7')
  USING p_tenant, p_filter, p_until, p_at, p_place, p_key, p_limit;
END $$;

CREATE OR REPLACE FUNCTION redelivery_of_dead_letters_count(p_tenant text, p_filter jsonb, p_until timestamptz, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  found integer;
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  EXECUTE concat(
    $q$SELECT count(*) FROM (SELECT * FROM (
      SELECT delivery.created_at AS at, delivery.position AS place, delivery.id::text AS key, delivery.id::text AS subject,
        NULL::text AS flow, delivery.customer::text
      FROM (SELECT delivery_id FROM dead_letter_summary WHERE tenant_id = $1 AND kind = 'delivery' AND resolved_at IS NULL AND created_at <= $3$q$, dead_letter_conditions(p_filter), $q$) AS letter
      JOIN delivery ON delivery.tenant_id = $1 AND delivery.id = letter.delivery_id) AS item LIMIT $4) AS bounded$q$)
  INTO found USING p_tenant, p_filter, p_until, p_limit;
  RETURN found;
END $$;

-- How many of the items would be left out because `redeliver` refuses them, by the code of the refusal. The items are counted up to a limit.
CREATE OR REPLACE FUNCTION redelivery_of_deliveries_refused(p_tenant text, p_filter jsonb, p_until timestamptz, p_effects jsonb, p_limit integer)
RETURNS TABLE (code text, found integer) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    $q$SELECT code, count(*)::integer FROM (
      SELECT redelivery_refusal(item, $4) AS code FROM (
        SELECT * FROM delivery WHERE tenant_id = $1 AND created_at <= $3$q$, delivery_conditions(p_filter), $q$ LIMIT $5) AS chosen
      JOIN delivery AS item ON item.tenant_id = $1 AND item.id = chosen.id) AS refused
    WHERE code IS NOT NULL GROUP BY code ORDER BY code$q$)
  USING p_tenant, p_filter, p_until, p_effects, p_limit;
END $$;

CREATE OR REPLACE FUNCTION redelivery_of_dead_letters_refused(p_tenant text, p_filter jsonb, p_until timestamptz, p_effects jsonb, p_limit integer)
RETURNS TABLE (code text, found integer) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY EXECUTE concat(
    $q$SELECT code, count(*)::integer FROM (
      SELECT redelivery_refusal(item, $4) AS code
      FROM (SELECT delivery_id FROM dead_letter_summary WHERE tenant_id = $1 AND kind = 'delivery' AND resolved_at IS NULL AND created_at <= $3$q$, dead_letter_conditions(p_filter), $q$ LIMIT $5) AS letter
      JOIN delivery AS item ON item.tenant_id = $1 AND item.id = letter.delivery_id) AS refused
    WHERE code IS NOT NULL GROUP BY code ORDER BY code$q$)
  USING p_tenant, p_filter, p_until, p_effects, p_limit;
END $$;
