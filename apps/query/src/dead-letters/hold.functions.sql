-- What hold.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

CREATE OR REPLACE FUNCTION holds_of_customers(p_tenant text, p_keys text[])
RETURNS TABLE (
  customer text, consumer_group text, topic text, partition integer, reason text, dead_letter_id text,
  retry_requested_at timestamptz, created_at timestamptz, held_records bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT h.customer::text, h.consumer_group::text, h.topic::text, h.partition, h.reason, h.dead_letter_id::text,
      h.retry_requested_at, h.created_at,
      (SELECT count(*) FROM held_record r WHERE r.tenant_id = h.tenant_id AND r.consumer_group = h.consumer_group AND r.topic = h.topic
        AND r.partition = h.partition AND r.record_key = h.record_key)
    FROM hold h WHERE h.tenant_id = p_tenant AND h.customer = ANY (p_keys) ORDER BY h.created_at, h.consumer_group, h.topic, h.partition;
END $$;

CREATE OR REPLACE FUNCTION holds_of_dead_letters(p_tenant text, p_keys text[])
RETURNS TABLE (
  customer text, consumer_group text, topic text, partition integer, reason text, dead_letter_id text,
  retry_requested_at timestamptz, created_at timestamptz, held_records bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    SELECT h.customer::text, h.consumer_group::text, h.topic::text, h.partition, h.reason, h.dead_letter_id::text,
      h.retry_requested_at, h.created_at,
      (SELECT count(*) FROM held_record r WHERE r.tenant_id = h.tenant_id AND r.consumer_group = h.consumer_group AND r.topic = h.topic
        AND r.partition = h.partition AND r.record_key = h.record_key)
    FROM hold h WHERE h.tenant_id = p_tenant AND h.dead_letter_id = ANY (p_keys) ORDER BY h.created_at, h.consumer_group, h.topic, h.partition;
END $$;

-- The holds behind which the records of events wait; not of the record that failed, which is held, too. The header `ce_id` of a record is the id of its event,
-- in base64. Records are counted once per hold, and read once for all events.
CREATE OR REPLACE FUNCTION holds_of_events(p_tenant text, p_keys text[])
RETURNS TABLE (
  event_id text, customer text, consumer_group text, topic text, partition integer, reason text, dead_letter_id text,
  retry_requested_at timestamptz, created_at timestamptz, held_records bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    WITH subject AS (
      SELECT e.id::text AS id, e.customer, encode(convert_to(e.id, 'UTF8'), 'base64') AS header FROM event e WHERE e.tenant_id = p_tenant AND e.id = ANY (p_keys)),
    held AS MATERIALIZED (
      SELECT h.*, (SELECT count(*) FROM held_record r WHERE r.tenant_id = h.tenant_id AND r.consumer_group = h.consumer_group AND r.topic = h.topic
        AND r.partition = h.partition AND r.record_key = h.record_key) AS records
      FROM hold h WHERE h.tenant_id = p_tenant AND h.customer IN (SELECT customer FROM subject))
    SELECT DISTINCT ON (s.id) s.id, h.customer::text, h.consumer_group::text, h.topic::text, h.partition, h.reason, h.dead_letter_id::text,
      h.retry_requested_at, h.created_at, h.records
    FROM held h JOIN held_record r ON r.tenant_id = h.tenant_id AND r.consumer_group = h.consumer_group AND r.topic = h.topic
        AND r.partition = h.partition AND r.record_key = h.record_key
      JOIN subject s ON s.customer = h.customer AND s.header = r.headers->>'ce_id'
    WHERE (r.log, r.log_offset) IS DISTINCT FROM (h.cause_log, h.cause_offset) ORDER BY s.id, h.created_at;
END $$;
