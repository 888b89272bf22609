#!/usr/bin/env bash
# Fetches Debian's Prometheus, with promtool, into .cache/prometheus: it is unpacked, not installed, so no daemon starts.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -x .cache/prometheus/usr/bin/promtool ] || command -v promtool >/dev/null; then exit 0; fi
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
(cd "$folder" && apt-get update -qq && apt-get download -qq prometheus)
mkdir -p .cache/prometheus
dpkg -x "$folder"/prometheus_*.deb .cache/prometheus
