-- Locks queues until the end of the transaction. Every change to a queue takes this lock: without it, a delivery could be added behind one that is
-- being settled at that moment, and would never get its turn. Sorted, so that no two transactions wait for each other.
CREATE OR REPLACE FUNCTION lock_delivery_queues(p_tenants text[], p_destinations text[], p_customers text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(queue, 0)) FROM (
    SELECT DISTINCT concat_ws('/', tenant_id, destination, customer) AS queue
    FROM unnest(p_tenants, p_destinations, p_customers) AS given (tenant_id, destination, customer) ORDER BY queue) AS sorted;
END $$;

-- Adds the deliveries that do not exist yet, in the order given, each at the end of its queue, and notifies connectors. Returns how many were added.
--
-- The first delivery of a queue is due at once; one behind others has no time yet. Existing deliveries are recognised by run, step and destination,
-- because an older build may have given them ids of another form. The condition of `ahead` is that of the index `delivery_queue`. Deliveries that wait
-- with an older payload of the same object are superseded. Builds until 2026-11-29 give neither objects nor consents.
CREATE OR REPLACE FUNCTION plan_deliveries(
  p_tenants text[], p_ids text[], p_events text[], p_runs text[], p_flows text[], p_generations integer[], p_steps text[], p_customers text[],
  p_destinations text[], p_payloads json[], p_strict boolean[], p_traceparents text[], p_received timestamptz[],
  p_objects text[] DEFAULT NULL, p_at_least_once boolean[] DEFAULT NULL
)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  added integer;
BEGIN
  PERFORM lock_delivery_queues(p_tenants, p_destinations, p_customers);
  INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, strict, traceparent,
    event_received_at, object, at_least_once, next_attempt_at)
  SELECT tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, strict, traceparent, event_received_at, object,
    coalesce(at_least_once, false), CASE WHEN row_number() OVER (PARTITION BY tenant_id, destination, customer ORDER BY number) = 1
      AND NOT EXISTS (SELECT FROM delivery AS ahead WHERE ahead.tenant_id = planned.tenant_id AND ahead.destination = planned.destination
        AND ahead.customer = planned.customer AND NOT ahead.aside AND (ahead.state = 'pending' OR (ahead.strict AND ahead.state = 'parked')))
    THEN date_trunc('milliseconds', clock_timestamp()) END
  FROM unnest(p_tenants, p_ids, p_events, p_runs, p_flows, p_generations, p_steps, p_customers, p_destinations, p_payloads, p_strict,
      p_traceparents, p_received, p_objects, p_at_least_once) WITH ORDINALITY AS planned (tenant_id, id, event_id, run_id, flow, generation, step,
      customer, destination, payload, strict, traceparent, event_received_at, object, at_least_once, number)
  WHERE NOT EXISTS (SELECT FROM delivery AS known WHERE known.tenant_id = planned.tenant_id AND known.run_id = planned.run_id
    AND known.step = planned.step AND known.destination = planned.destination)
  ORDER BY number
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  IF added > 0 AND EXISTS (SELECT FROM unnest(p_objects) AS given (object) WHERE object IS NOT NULL) THEN
    PERFORM supersede_deliveries(p_tenants, p_destinations, p_customers, p_objects);
  END IF;
  IF added > 0 THEN PERFORM pg_notify('millrace_deliveries', ''); END IF;
  RETURN added;
END $$;

-- Supersedes the deliveries of these objects that wait behind a newer one, and gives the next of their queues their turns. One that is being attempted is
-- superseded when its attempt fails. The caller holds the locks of the queues.
CREATE OR REPLACE FUNCTION supersede_deliveries(p_tenants text[], p_destinations text[], p_customers text[], p_objects text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  WITH newest AS (
    SELECT given.*, (
      SELECT max(position) FROM delivery AS each WHERE each.tenant_id = given.tenant_id AND each.destination = given.destination
        AND each.customer = given.customer AND each.object = given.object) AS position
    FROM (SELECT DISTINCT * FROM unnest(p_tenants, p_destinations, p_customers, p_objects) AS given (tenant_id, destination, customer, object)
      WHERE object IS NOT NULL) AS given)
  UPDATE delivery SET state = 'superseded', next_attempt_at = NULL, held_back = false, lease_until = NULL,
    settled_at = date_trunc('milliseconds', clock_timestamp())
  FROM newest
  WHERE delivery.tenant_id = newest.tenant_id AND delivery.destination = newest.destination AND delivery.customer = newest.customer
    AND delivery.object = newest.object AND delivery.position < newest.position AND delivery.state = 'pending'
    AND (delivery.lease_until IS NULL OR delivery.lease_until < statement_timestamp());
  IF FOUND THEN PERFORM call_next_deliveries(p_tenants, p_destinations, p_customers); END IF;
END $$;

-- True if a newer delivery of the same object was delivered or waits to be: then sending this one would overwrite what that one sets.
CREATE OR REPLACE FUNCTION is_superseded(p_delivery delivery) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT p_delivery.object IS NOT NULL AND EXISTS (
    SELECT FROM delivery AS newer WHERE newer.tenant_id = p_delivery.tenant_id AND newer.destination = p_delivery.destination
      AND newer.customer = p_delivery.customer AND newer.object = p_delivery.object AND newer.position > p_delivery.position
      AND newer.state IN ('pending', 'delivered'))
$$;

-- Why `redeliver` refuses a delivery, as the code of a failure; null if it would be sent. `p_effects` has the destinations to which a repeat may take
-- effect a second time: those of deliveries that reached it by `reachedBy`, and with `unlessConsented` only where the flow does not consent to that.
CREATE OR REPLACE FUNCTION redelivery_refusal(p_delivery delivery, p_effects jsonb) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN is_superseded(p_delivery) THEN 'delivery.superseded'
    WHEN p_delivery.reached_at <= (p_effects->p_delivery.destination::text->>'reachedBy')::timestamptz
      AND NOT (p_delivery.at_least_once AND (p_effects->p_delivery.destination::text->>'unlessConsented')::boolean) THEN 'delivery.secondEffect'
  END
$$;

CREATE OR REPLACE FUNCTION refused_redeliveries(p_tenant text, p_ids text[], p_effects jsonb) RETURNS TABLE (id text, code text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT refused.id, refused.code FROM (
      SELECT delivery.id::text AS id, redelivery_refusal(delivery, p_effects) AS code
      FROM delivery WHERE tenant_id = p_tenant AND delivery.id = ANY (p_ids)) AS refused
    WHERE refused.code IS NOT NULL;
END $$;
