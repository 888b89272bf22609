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
-- because an older build may have given them ids of another form. The condition of `ahead` is that of the index `delivery_queue`.
CREATE OR REPLACE FUNCTION plan_deliveries(
  p_tenants text[], p_ids text[], p_events text[], p_runs text[], p_flows text[], p_generations integer[], p_steps text[], p_customers text[],
  p_destinations text[], p_payloads json[], p_strict boolean[], p_traceparents text[], p_received timestamptz[]
)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  added integer;
BEGIN
  PERFORM lock_delivery_queues(p_tenants, p_destinations, p_customers);
  INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, strict, traceparent,
    event_received_at, next_attempt_at)
  SELECT tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, strict, traceparent, event_received_at,
    CASE WHEN row_number() OVER (PARTITION BY tenant_id, destination, customer ORDER BY number) = 1
      AND NOT EXISTS (SELECT FROM delivery AS ahead WHERE ahead.tenant_id = planned.tenant_id AND ahead.destination = planned.destination
        AND ahead.customer = planned.customer AND NOT ahead.aside AND (ahead.state = 'pending' OR (ahead.strict AND ahead.state = 'parked')))
    THEN date_trunc('milliseconds', clock_timestamp()) END
  FROM unnest(p_tenants, p_ids, p_events, p_runs, p_flows, p_generations, p_steps, p_customers, p_destinations, p_payloads, p_strict,
      p_traceparents, p_received) WITH ORDINALITY AS planned (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination,
      payload, strict, traceparent, event_received_at, number)
  WHERE NOT EXISTS (SELECT FROM delivery AS known WHERE known.tenant_id = planned.tenant_id AND known.run_id = planned.run_id
    AND known.step = planned.step AND known.destination = planned.destination)
  ORDER BY number
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  IF added > 0 THEN PERFORM pg_notify('millrace_deliveries', ''); END IF;
  RETURN added;
END $$;
