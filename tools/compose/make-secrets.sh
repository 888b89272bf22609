#!/bin/sh
# Makes the secrets of docker-compose.yml at the first start, and leaves those that are there. Each folder is a volume that only its readers mount.
set -eu
umask 077
root=${1:-/run/secrets/millrace}
hex() { head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n'; }
make() { # file, content
  [ -s "$root/$1" ] && return
  printf '%s' "$2" > "$root/$1.new"
  mv "$root/$1.new" "$root/$1"
}
address() { printf 'postgres://millrace_%s:%s@postgres:5432/millrace?sslmode=disable' "$1" "$(cat "$root/postgres/$1")"; }

mkdir -p "$root/postgres" "$root/migrate" "$root/services" "$root/query"
for login in administrator owner service query; do make "postgres/$login" "$(hex)"; done
make migrate/database-url "$(address owner)"
make services/database-url "$(address service)"
make services/secrets-key "$(head -c 32 /dev/urandom | base64)"
make query/database-url "$(address query)"
make query/operator-key "mr_local_operator_$(hex)"
# The users of the images: postgres is 999 in its own, the services run as 1000.
if [ "$(id -u)" = 0 ]; then
  chown -R 999:999 "$root/postgres"
  chown -R 1000:1000 "$root/migrate" "$root/services" "$root/query"
fi
