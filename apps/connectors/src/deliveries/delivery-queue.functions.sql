-- Gives the first delivery of each queue its turn, unless it is parked. Of the deliveries aside, the one whose time comes first gets the turn,
-- unless another one is being attempted. So a customer has at most two attempts under way at a destination, one in order and one aside.
--
-- Returns whether any delivery got its turn. The caller holds the locks of the queues. The condition of `ahead` is that of the index `delivery_queue`.
CREATE OR REPLACE FUNCTION give_turns(p_tenants text[], p_destinations text[], p_customers text[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  turn_given boolean;
BEGIN
  WITH queue AS (
    SELECT DISTINCT tenant_id, destination, customer FROM unnest(p_tenants, p_destinations, p_customers) AS given (tenant_id, destination, customer)),
  called AS (
    UPDATE delivery SET next_attempt_at = date_trunc('milliseconds', clock_timestamp())
    FROM queue, LATERAL (
      SELECT ahead.tenant_id, ahead.id, ahead.state FROM delivery AS ahead
      WHERE ahead.tenant_id = queue.tenant_id AND ahead.destination = queue.destination AND ahead.customer = queue.customer
        AND NOT ahead.aside AND (ahead.state = 'pending' OR (ahead.strict AND ahead.state = 'parked'))
      ORDER BY ahead.position LIMIT 1) AS head
    WHERE head.state = 'pending' AND delivery.tenant_id = head.tenant_id AND delivery.id = head.id AND delivery.state = 'pending'
      AND delivery.next_attempt_at IS NULL
    RETURNING delivery.id),
  beside AS (
    SELECT queue.*, (
      SELECT id FROM delivery AS first
      WHERE first.tenant_id = queue.tenant_id AND first.destination = queue.destination AND first.customer = queue.customer
        AND first.aside AND first.state = 'pending'
      ORDER BY first.next_attempt_at LIMIT 1) AS first_id
    FROM queue
    WHERE NOT EXISTS (
      SELECT FROM delivery AS busy
      WHERE busy.tenant_id = queue.tenant_id AND busy.destination = queue.destination AND busy.customer = queue.customer
        AND busy.aside AND busy.state = 'pending' AND busy.next_attempt_at IS NOT NULL AND NOT busy.held_back
        AND busy.lease_until >= statement_timestamp())),
  released AS (
    UPDATE delivery SET held_back = delivery.id <> first_id
    FROM beside
    WHERE delivery.tenant_id = beside.tenant_id AND delivery.destination = beside.destination AND delivery.customer = beside.customer
      AND delivery.aside AND delivery.state = 'pending' AND (delivery.id = first_id OR NOT delivery.held_back)
      AND delivery.held_back = (delivery.id = first_id) AND (delivery.lease_until IS NULL OR delivery.lease_until < statement_timestamp())
    RETURNING delivery.held_back)
  SELECT EXISTS (SELECT FROM called) OR EXISTS (SELECT FROM released WHERE NOT held_back) INTO turn_given;
  RETURN turn_given;
END $$;

-- The form of `give_turns` without its result.
CREATE OR REPLACE FUNCTION call_next_deliveries(p_tenants text[], p_destinations text[], p_customers text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM give_turns(p_tenants, p_destinations, p_customers);
END $$;

-- Records attempts and updates their deliveries, each only if the claim is still held, and gives the next deliveries of their queues their turns. Returns the
-- place of each recorded attempt among those given, from 1, and its number; and a row without a place if another delivery got its turn. A delivery
-- that is to be retried keeps its position in the queue if its order is strict, and steps aside otherwise; if a newer one of its object was planned
-- meanwhile, it is superseded. `state_after` is the delivery's state. Builds until 2026-11-29 do not say which attempts are uncertain.
CREATE OR REPLACE FUNCTION settle_deliveries(
  p_tenants text[], p_ids text[], p_fences bigint[], p_destinations text[], p_customers text[], p_states text[], p_codes text[], p_messages text[],
  p_retry_in_ms double precision[], p_statuses integer[], p_excerpts text[], p_started timestamptz[], p_finished timestamptz[],
  p_uncertain boolean[] DEFAULT NULL
)
RETURNS TABLE (place bigint, attempt_number integer, state_after text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM lock_delivery_queues(p_tenants, p_destinations, p_customers);
  RETURN QUERY
  WITH result AS (
    SELECT * FROM unnest(p_tenants, p_ids, p_fences, p_states, p_codes, p_messages, p_retry_in_ms, p_statuses, p_excerpts, p_started, p_finished,
      p_uncertain)
      WITH ORDINALITY AS result (tenant_id, id, fence, state, code, message, retry_in_ms, status, excerpt, started_at, finished_at, uncertain, number)),
  held AS (
    SELECT result.number, CASE WHEN result.state = 'pending' AND is_superseded(delivery) THEN 'superseded' ELSE result.state END AS next_state
    FROM delivery JOIN result ON delivery.tenant_id = result.tenant_id AND delivery.id = result.id
      AND delivery.fence = result.fence
    WHERE delivery.state = 'pending' ORDER BY delivery.tenant_id, delivery.id FOR UPDATE OF delivery),
  settled AS (
    UPDATE delivery SET state = next_state, attempts = delivery.attempts + 1, lease_until = NULL, error_code = result.code,
      error_message = result.message, retries = delivery.retries + CASE WHEN next_state = 'pending' THEN 1 ELSE 0 END,
      reached_at = coalesce(delivery.reached_at, CASE WHEN result.code IS NULL OR uncertain THEN result.started_at END),
      aside = delivery.aside OR (next_state = 'pending' AND NOT delivery.strict),
      held_back = next_state = 'pending' AND (delivery.aside OR NOT delivery.strict),
      next_attempt_at = CASE WHEN next_state = 'pending'
        THEN date_trunc('milliseconds', clock_timestamp()) + result.retry_in_ms * interval '1 millisecond' END,
      settled_at = CASE WHEN next_state = 'pending' THEN NULL ELSE result.finished_at END
    FROM result JOIN held USING (number)
    WHERE delivery.tenant_id = result.tenant_id AND delivery.id = result.id
    RETURNING delivery.tenant_id, delivery.id, delivery.event_id, delivery.attempts, delivery.state, result.number, code, message, status, excerpt,
      uncertain, result.started_at, result.finished_at),
  recorded AS (
    INSERT INTO attempt (tenant_id, delivery_id, number, event_id, outcome, status, error_code, error_message, response_excerpt,
      started_at, finished_at)
    SELECT tenant_id, id, attempts, event_id, CASE WHEN code IS NULL THEN 'succeeded' WHEN uncertain THEN 'uncertain' ELSE 'failed' END, status, code, message, excerpt,
      started_at, finished_at FROM settled)
  SELECT number, attempts, state FROM settled;
  IF give_turns(p_tenants, p_destinations, p_customers) THEN RETURN QUERY SELECT NULL::bigint, NULL::integer, NULL::text; END IF;
END $$;
