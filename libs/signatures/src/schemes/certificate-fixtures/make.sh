#!/usr/bin/env bash
# Makes the certificates of certificate.test.ts. Most are valid for 100 years, some for ten days; the keys are used in tests only.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
key() { if [ "$2" = rsa ]; then openssl genrsa -out "$1" 2048; else openssl ecparam -name prime256v1 -genkey -noout -out "$1"; fi 2>/dev/null; }
# certificate NAME KIND HOST ISSUER CA [DAYS]: NAME.pem and its key, issued by ISSUER (itself if it is the same name)
certificate() {
  local name=$1 kind=$2 host=$3 issuer=$4 ca=$5 days=${6:-36500}
  key "$work/$name.key.pem" "$kind"
  printf 'basicConstraints=critical,CA:%s\nsubjectAltName=DNS:%s\n' "$ca" "$host" > "$work/$name.ext"
  [ "$ca" = FALSE ] || printf 'keyUsage=critical,keyCertSign\n' >> "$work/$name.ext"
  openssl req -new -key "$work/$name.key.pem" -subj "/CN=$name" -out "$work/$name.csr"
  if [ "$issuer" = "$name" ]; then sign=(-signkey "$work/$name.key.pem"); else sign=(-CA "$issuer.pem" -CAkey "$work/$issuer.key.pem" -CAcreateserial -CAserial "$work/serial"); fi
  openssl x509 -req -in "$work/$name.csr" "${sign[@]}" -days "$days" -sha256 -extfile "$work/$name.ext" -out "$name.pem" 2>/dev/null
  [ "$ca" = TRUE ] || cp "$work/$name.key.pem" "$name.key.pem"
}
certificate root rsa root.example root TRUE
certificate intermediate ec intermediate.example root TRUE
certificate signer-rsa rsa hooks.example.com intermediate FALSE
certificate signer-ec ec hooks.example.com intermediate FALSE
certificate other-host ec other.example.org intermediate FALSE
certificate issued-by-signer ec hooks.example.com signer-ec FALSE
certificate strange-root ec root.example strange-root TRUE
certificate strange-signer ec hooks.example.com strange-root FALSE
certificate short-signer ec hooks.example.com intermediate FALSE 10
certificate short-root ec root.example short-root TRUE 10
certificate signer-of-short-root ec hooks.example.com short-root FALSE
