#!/usr/bin/env bash
# Records the messages that test/protocol/vectors.test.ts reads, written by Apache Kafka's own classes.
set -euo pipefail
cd "$(dirname "$0")/../../.."
test/interop/install/java.sh
java -cp '.dev/java/classes:.dev/java/libs/*' tailrace.interop.Vectors write 44 3 |
  gzip -9n >test/fixtures/kafka-4.4-vectors.jsonl.gz
