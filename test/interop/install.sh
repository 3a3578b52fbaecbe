#!/usr/bin/env bash
# Installs what the interop suite needs beside Node: Apache Kafka's broker and its command line tools,
# and the clients of other languages, each with its toolchain. What is missing is a failure.
# The tools are of the newest release whose artifact was to be had when the suite was written.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in java mvn gcc; do
  command -v "$tool" >/dev/null || {
    echo "test:interop: $tool is missing: Java 17 or newer, Maven and gcc are needed" >&2
    exit 1
  }
done
benchmarks/peers/install-kafka.sh .dev/kafka
KAFKA_ARTIFACT=kafka-tools KAFKA_RELEASE=4.3.0 benchmarks/peers/install-kafka.sh .dev/kafka-tools
test/interop/install/java.sh
test/interop/install/kcat.sh
test/interop/install/go.sh
test/interop/install/python.sh
