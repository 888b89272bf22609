#!/usr/bin/env bash
# Installs what `npm run image` wants: buildah builds, runc runs, mmdebstrap makes a base where no registry can be reached. No daemon starts.
set -euo pipefail
for program in buildah runc mmdebstrap; do command -v "$program" >/dev/null || missing=1; done
[ -z "${missing:-}" ] && exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah runc mmdebstrap
