#!/bin/sh
# Prints the namespace and the Secrets of the local overlay, with new passwords and keys: sh k8s/overlays/local/secrets.sh | kubectl apply -f -
# Run it once: a second run would make another SECRETS_KEY, which opens nothing that the first one sealed.
set -eu
random() { openssl rand -hex 24; }
superuser=$(random) owner=$(random) service=$(random) query=$(random)
secrets_key=$(openssl rand -base64 32)
at=@postgres:5432/millrace
cat "$(dirname "$0")/../../base/namespace.yaml"
cat <<EOF
---
apiVersion: v1
kind: Secret
metadata: { name: postgres, namespace: millrace }
stringData:
  superuser-password: $superuser
  logins.sql: |
    CREATE ROLE millrace_service NOLOGIN;
    CREATE ROLE millrace_query NOLOGIN;
    CREATE ROLE owner LOGIN PASSWORD '$owner';
    CREATE ROLE service LOGIN PASSWORD '$service' IN ROLE millrace_service;
    CREATE ROLE query LOGIN PASSWORD '$query' IN ROLE millrace_query;
    GRANT millrace_service, millrace_query TO owner WITH ADMIN OPTION;
    ALTER DATABASE millrace OWNER TO owner;
---
apiVersion: v1
kind: Secret
metadata: { name: migrate, namespace: millrace }
stringData: { DATABASE_URL: 'postgres://owner:$owner$at' }
---
apiVersion: v1
kind: Secret
metadata: { name: ingestion, namespace: millrace }
stringData: { DATABASE_URL: 'postgres://service:$service$at', SECRETS_KEY: '$secrets_key' }
---
apiVersion: v1
kind: Secret
metadata: { name: ai-processing, namespace: millrace }
stringData: { DATABASE_URL: 'postgres://service:$service$at', SECRETS_KEY: '$secrets_key', MODEL_API_KEY: local }
---
apiVersion: v1
kind: Secret
metadata: { name: connectors, namespace: millrace }
stringData: { DATABASE_URL: 'postgres://service:$service$at', SECRETS_KEY: '$secrets_key' }
---
apiVersion: v1
kind: Secret
metadata: { name: query, namespace: millrace }
stringData: { DATABASE_URL: 'postgres://service:$service$at', QUERY_DATABASE_URL: 'postgres://query:$query$at', SECRETS_KEY: '$secrets_key', OPERATOR_KEY: '$(openssl rand -hex 32)' }
EOF
