-- Claims the longest due deliveries of each destination, at most `free`, so that all processes together have at most `concurrency` claimed.
--
-- A claim holds a lock of its destination until it is committed. The lock is shared, so that nobody waits, if everything due fits the concurrency:
-- then no number of claims can exceed it. Otherwise the lock is exclusive, and claimed deliveries are counted under it. The mode says which: `shared`,
-- `exclusive`, or `ruled`, which is exclusive, and the caller has applied the rules of the destination's health. Nothing is claimed in the mode
-- `shared` if not everything fits, and nothing in another mode than `ruled` if the health limits attempts. The row has then no delivery.
--
-- A claim that ran out may have been followed by an attempt that nobody recorded: then the delivery counts as one that may have reached its
-- destination, since the claim was last renewed.
--
-- The locks are taken by a statement of their own, because the next one must see what was committed before they were granted. They are sorted, so
-- that no two transactions wait for each other.
CREATE OR REPLACE FUNCTION claim_deliveries(
  p_lease_ms double precision, p_tenants text[], p_destinations text[], p_free integer[], p_concurrency integer[], p_modes text[]
)
RETURNS TABLE (
  tenant text, destination text, id text, event_id text, run_id text, flow text, generation integer, customer text, payload text, attempts integer,
  retries integer, strict boolean, aside boolean, fence bigint, traceparent text, event_received_at timestamptz, redelivered boolean,
  reached_at timestamptz, at_least_once boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM CASE WHEN mode = 'shared' THEN pg_advisory_xact_lock_shared(key) ELSE pg_advisory_xact_lock(key) END
  FROM (
    SELECT mode, hashtextextended(concat_ws('/', 'claims', tenant_id, destination), 0) AS key
    FROM unnest(p_tenants, p_destinations, p_modes) AS room (tenant_id, destination, mode) ORDER BY key) AS sorted;
  RETURN QUERY
  WITH room AS (
    SELECT tenant_id, destination, CASE
      WHEN mode <> 'ruled' AND EXISTS (
        SELECT FROM destination_health AS health WHERE health.tenant_id = given.tenant_id AND health.destination = given.destination
          AND (disabled_since IS NOT NULL OR open_until IS NOT NULL OR limited_until > statement_timestamp())) THEN NULL
      WHEN mode <> 'shared' THEN least(free, concurrency - (
        SELECT count(*) FROM delivery AS claimed WHERE claimed.tenant_id = given.tenant_id AND claimed.destination = given.destination
          AND claimed.lease_until IS NOT NULL AND claimed.lease_until >= statement_timestamp()))
      WHEN concurrency >= (
        SELECT count(*) FROM (
          SELECT FROM delivery AS due WHERE due.tenant_id = given.tenant_id AND due.destination = given.destination
            AND due.state = 'pending' AND due.next_attempt_at IS NOT NULL AND NOT due.held_back AND due.next_attempt_at <= statement_timestamp()
          LIMIT concurrency + 1) AS counted) THEN free END AS allowed
    FROM unnest(p_tenants, p_destinations, p_free, p_concurrency, p_modes) AS given (tenant_id, destination, free, concurrency, mode)),
  chosen AS (
    SELECT due.tenant_id, due.id FROM room, LATERAL (
      SELECT waiting.tenant_id, waiting.id FROM delivery AS waiting
      WHERE waiting.tenant_id = room.tenant_id AND waiting.destination = room.destination AND waiting.state = 'pending'
        AND waiting.next_attempt_at IS NOT NULL AND NOT waiting.held_back AND waiting.next_attempt_at <= statement_timestamp()
        AND (waiting.lease_until IS NULL OR waiting.lease_until < statement_timestamp())
      ORDER BY waiting.next_attempt_at LIMIT greatest(0, coalesce(room.allowed, 0))
      FOR UPDATE SKIP LOCKED) AS due),
  claimed AS (
    UPDATE delivery SET fence = delivery.fence + 1,
      reached_at = CASE WHEN delivery.lease_until IS NULL THEN delivery.reached_at
        ELSE coalesce(delivery.reached_at, delivery.lease_until - p_lease_ms * interval '1 millisecond') END,
      lease_until = date_trunc('milliseconds', clock_timestamp()) + p_lease_ms * interval '1 millisecond'
    FROM chosen WHERE delivery.tenant_id = chosen.tenant_id AND delivery.id = chosen.id
    RETURNING delivery.*)
  SELECT tenant_id::text, destination::text, id::text, event_id::text, run_id::text, flow::text, generation, customer::text, payload::text, attempts,
    retries, strict, aside, fence, traceparent, event_received_at::timestamptz, last_command_id IS NOT NULL,
    reached_at::timestamptz, at_least_once
  FROM claimed
  UNION ALL
  SELECT tenant_id, destination, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM room
  WHERE allowed IS NULL;
END $$;
