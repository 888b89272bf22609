-- Called by the triggers `configuration_changed` of document and api_key. Every process keeps documents and keys in memory and hears of a
-- change when it commits.
CREATE OR REPLACE FUNCTION notify_configuration() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('millrace_configuration', TG_TABLE_NAME);
  RETURN NULL;
END $$;
