#!/bin/sh
# Runs once, when the database of docker-compose.yml is made. The logins that the services use are no superusers: docs/operations.md.
set -eu
passwords=${PASSWORDS:-/run/secrets/postgres}
${PSQL:-psql} -q -v ON_ERROR_STOP=1 -v owner="$(cat "$passwords/owner")" -v service="$(cat "$passwords/service")" -v query="$(cat "$passwords/query")" \
  --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE millrace_owner LOGIN PASSWORD :'owner';
CREATE ROLE millrace_service LOGIN PASSWORD :'service';
CREATE ROLE millrace_query LOGIN PASSWORD :'query';
GRANT millrace_service, millrace_query TO millrace_owner;
CREATE DATABASE millrace OWNER millrace_owner;
SQL
