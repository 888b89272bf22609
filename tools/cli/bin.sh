#!/bin/sh
# The `millrace` command. Runs the built CLI with the package's own Node where npm has installed it: the machine's may be older.
set -eu

self=$0
while [ -L "$self" ]; do # npm links the command into node_modules/.bin
  target=$(readlink "$self")
  case $target in
    /*) self=$target ;;
    *) self=$(dirname "$self")/$target ;;
  esac
done
root=$(cd "$(dirname "$self")/../.." && pwd -P)
case $root in */dist) root=$(dirname "$root") ;; esac

main=$root/dist/tools/cli/src/main.js
if [ ! -f "$main" ]; then
  echo "millrace is not built yet: run \`npm run build\` in $root" >&2
  exit 2
fi
node=$root/node_modules/.bin/node
[ -x "$node" ] || node=node
exec "$node" "$main" "$@"
