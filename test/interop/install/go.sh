#!/usr/bin/env bash
# Builds the Go programs of the interop suite into .dev/interop/go. Modules and their checksums are
# pinned by test/interop/go/go.mod and go.sum.
set -euo pipefail
cd "$(dirname "$0")/../../.."

command -v go >/dev/null || {
  echo 'test:interop: go is missing: Go 1.26 or newer is needed' >&2
  exit 1
}
mkdir -p .dev/interop/go
into="$(cd .dev/interop/go && pwd -P)"
# The programs are small: what their clients need is all that takes time, and Go keeps that.
go -C test/interop/go build -mod=readonly -o "$into/" ./franz ./sarama
echo "the Go programs are in $into"
