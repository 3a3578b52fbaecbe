#!/usr/bin/env bash
# Installs kcat from the distribution's packages when it is not there and this may be done.
set -euo pipefail

VERSION=1.7.1

if ! command -v kcat >/dev/null && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq kcat >/dev/null
fi
command -v kcat >/dev/null || {
  echo "test:interop: kcat is missing: install the package kcat ($VERSION)" >&2
  exit 1
}
kcat -V 2>&1 | grep -q "^Version $VERSION " || {
  echo "test:interop: kcat $VERSION is needed, but there is $(kcat -V 2>&1 | grep '^Version')" >&2
  exit 1
}
echo "kcat $VERSION is there"
