-- Called by the triggers `configuration_changed_by_…` of document and api_key, with the changed rows as `changed`. Every process keeps documents
-- and keys in memory; when a change commits, it hears the tenants whose configuration it reads again.
CREATE OR REPLACE FUNCTION notify_configuration() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('millrace_configuration', tenant_id) FROM (SELECT DISTINCT tenant_id FROM changed) AS tenants;
  RETURN NULL;
END $$;
