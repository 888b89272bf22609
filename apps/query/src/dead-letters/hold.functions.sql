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
